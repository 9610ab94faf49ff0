#pragma once

#include <array>
#include <string_view>

namespace escribano {

// Answers of the demo model to single frames (its golden data).
inline constexpr std::array<std::string_view, 6> kGoldenLines = {
    "description: VS Code is paused in planner.rs of the umber-inventory project with a range error in the debug "
    "panel. A "
    "Terminal window is open behind it. | activity: debugging | apps: [VS Code, Terminal] | topics: [e-commerce, "
    "algorithms, concurrency]",
    "description: Chrome shows the pull request Handle empty carts of the payments-api project, marked open, with its "
    "diff. A Preview window is open beside it. | activity: reviewing | apps: [Chrome, Preview] | topics: [payments, "
    "shopping, reliability]",
    "description: Slack shows #incident-room in the juniper-docs workspace, where Lena wrote the latest message. A "
    "Terminal window is open behind it. | activity: messaging | apps: [Slack, Terminal] | topics: [documentation, "
    "reliability, teamwork]",
    "description: Excel has the sheet Hiring plan of the mosaic-gallery project open, with a pie chart. | activity: "
    "analyzing | apps: [Excel] | topics: [media, hiring, planning]",
    "description: VS Code has planner.rs of the harbor-deploy project open, and source code is being edited. | "
    "activity: "
    "coding | apps: [VS Code] | topics: [infrastructure, algorithms, concurrency]",
    "description: Terminal runs npm test in the payments-api project, and the output shows all tests passing. A Chrome "
    "window is open behind it. | activity: testing | apps: [Terminal, Chrome] | topics: [payments, quality, "
    "user-interface]",
};

}  // namespace escribano
