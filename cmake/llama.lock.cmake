# The llama.cpp this project is built and tested with. Change the five lines together.
set(LLAMA_PACKAGE node-llama-cpp)                 # npm package that ships a git bundle of a tagged llama.cpp release
set(LLAMA_PACKAGE_VERSION 3.22.1)
set(LLAMA_PACKAGE_SHA512 6e5b488a9b9699cd76dc7eed30880318a4ac4ab866865418795502e3c5d38d55bb5c624988927209d95333343f2e25a83e4183a5c2f816f883a60c3ba9f4e20f)
set(LLAMA_VERSION 0.5.0)
set(LLAMA_COMMIT de3ff815ea7d559ee917f063901b8986f038abc6)
