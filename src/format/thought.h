#pragma once

#include <string>
#include <string_view>

namespace escribano {

// `answer` without what a model thought in front of it, which stands in <think>...</think>, in any case of letters. A block
// that is never closed reaches to the end. A block that was never opened begins where the answer begins: chat templates of
// thinking models put the opening tag into the prompt. A block leaves a line break behind. Bytes are not looked at
// otherwise. Pure; linear in the length of `answer`.
std::string without_thought(std::string_view answer);

}  // namespace escribano
