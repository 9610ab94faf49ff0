#pragma once

namespace escribano::cli {

// Makes the compute threads go to sleep soon when they wait for each other. libgomp lets them spin for 300,000 rounds,
// which is time lost on a machine that does anything else (records the screen, say; docs/performance.md), and reads its
// setting before main() begins: so the program starts itself again, once, with the setting in its environment. Nothing happens where the user has chosen a policy, or on other systems. Costs 2 ms.
// Call first thing in main; returns if there is nothing to do or it cannot be done.
void sleep_at_barriers(char** argv);

}  // namespace escribano::cli
