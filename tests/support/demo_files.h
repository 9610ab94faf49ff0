#pragma once

#include "models/model_files.h"

namespace escribano {

// The demo model, imported once into the build folder from assets/demo-model by our own importer. Throws on failure.
const ModelFiles& demo_model();

}  // namespace escribano
