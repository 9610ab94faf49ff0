# How every folder under src/ becomes a target, and what every target is compiled with.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_library(escribano_options INTERFACE)
target_compile_options(escribano_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                       -Wold-style-cast -Woverloaded-virtual -Wconversion -Wno-sign-conversion
                       # A designated initialiser leaves the other members at their defaults on purpose.
                       -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC bug 105651: wrong warnings about std::string operator+.
  target_compile_options(escribano_options INTERFACE -Wno-restrict)
endif()
if(ESCRIBANO_WERROR)
  target_compile_options(escribano_options INTERFACE -Werror)
endif()
if(ESCRIBANO_SANITIZE)
  target_compile_options(escribano_options INTERFACE -fsanitize=${ESCRIBANO_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(escribano_options INTERFACE -fsanitize=${ESCRIBANO_SANITIZE})
endif()
if(ESCRIBANO_LIBFUZZER)
  # Coverage feedback in the code under test; the fuzz targets add the driver itself.
  target_compile_options(escribano_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# escribano_library(NAME SOURCES a.cpp ... [PUBLIC dep ...] [PRIVATE dep ...] [WAITS])
# One static library per folder of src/. Headers are included as "folder/file.h". A third-party library belongs under
# PRIVATE, so that including its headers from a folder that does not own it fails to build. WAITS: it computes nothing that
# takes time; with a sanitizer it is compiled without optimisation, in half the time.
function(escribano_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "WAITS" "" "SOURCES;PUBLIC;PRIVATE")
  add_library(escribano_${name} STATIC ${ARG_SOURCES})
  add_library(escribano::${name} ALIAS escribano_${name})
  target_include_directories(escribano_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(escribano_${name} PUBLIC ${ARG_PUBLIC} PRIVATE escribano_options ${ARG_PRIVATE})
  if(ARG_WAITS AND ESCRIBANO_SANITIZE)
    target_compile_options(escribano_${name} PRIVATE -O0)
  endif()
endfunction()

# escribano_test(NAME SOURCES a_test.cpp ... [LINK dep ...] [LABELS l ...] [TIMEOUT seconds] [ONE_THREAD])
# A GoogleTest program whose cases ctest runs one by one. ONE_THREAD: there is one thread in it, or what it runs are other
# processes that other tests look into; with ThreadSanitizer it is not built.
function(escribano_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "ONE_THREAD" "TIMEOUT" "SOURCES;LINK;LABELS")
  if(ARG_ONE_THREAD AND ESCRIBANO_SANITIZE STREQUAL "thread")
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  # What takes time lies in the libraries; of the tests themselves the compiler would take the most, with AddressSanitizer
  # and UndefinedBehaviorSanitizer twice as much as anything else.
  set(optimisation -O1)
  if(ESCRIBANO_SANITIZE)
    math(EXPR ARG_TIMEOUT "3 * ${ARG_TIMEOUT}")
    set(optimisation -O0)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE escribano_options ${ARG_LINK} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE ESCRIBANO_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             ESCRIBANO_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_compile_options(${name} PRIVATE ${optimisation})
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# escribano_fuzz(NAME SOURCES fuzz_x.cpp [LINK dep ...] [CORPUS folder])
# A libFuzzer target. Without libFuzzer it is linked with a driver that replays the corpus and bounded mutations of it,
# so that every normal build compiles the fuzzers and every test run replays what they once found.
function(escribano_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "CORPUS" "SOURCES;LINK")
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE escribano_options ${ARG_LINK})
  if(ESCRIBANO_LIBFUZZER)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/fuzz/replay_main.cpp)
    add_test(NAME fuzz.${name}.replay COMMAND ${name} ${ARG_CORPUS})
    set_tests_properties(fuzz.${name}.replay PROPERTIES TIMEOUT 120 LABELS fuzz)
  endif()
endfunction()
