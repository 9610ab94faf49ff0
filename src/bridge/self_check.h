#pragma once

#include <memory>

#include "base/error.h"
#include "engine/engine.h"
#include "image/image.h"

namespace escribano::bridge {

// Has one real picture described, small and with few words, so that a model that cannot work is found at the start and
// not by the first client. Fails with the engine's error. Blocks.
Status self_check(engine::Engine& engine, const Image& picture);

}  // namespace escribano::bridge
