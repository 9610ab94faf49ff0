# llama.cpp: libllama and libmtmd as the imported target escribano::llama.
#
# ESCRIBANO_LLAMA=pinned (default): the release named in llama.lock.cmake is fetched once through the npm client, checked
# against its hash, built whole and installed into a cache outside the tree. The cache key covers version, options and
# CPU features, so that one cache serves every build folder and no binary reaches a CPU it was not built for.
# ESCRIBANO_LLAMA=system: an installed llama.cpp (with libmtmd) found through CMAKE_PREFIX_PATH.
# ESCRIBANO_LLAMA=none: this file is not read; what needs a model is not built.

include(${CMAKE_CURRENT_LIST_DIR}/llama.lock.cmake)

function(_escribano_llama_cpu_features out)
  if(APPLE)
    execute_process(COMMAND sysctl -n machdep.cpu.brand_string OUTPUT_VARIABLE features OUTPUT_STRIP_TRAILING_WHITESPACE)
  elseif(EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo lines REGEX "^(flags|Features)" LIMIT_COUNT 1)
    string(REGEX REPLACE "^[^:]*: *" "" features "${lines}")
  endif()
  set(${out} "${CMAKE_SYSTEM_PROCESSOR} ${features}" PARENT_SCOPE)
endfunction()

function(_escribano_run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(LENGTH "${output}" length)
    if(length GREATER 4000)
      math(EXPR from "${length} - 4000")
      string(SUBSTRING "${output}" ${from} -1 output)
    endif()
    message(FATAL_ERROR "llama.cpp: ${what} failed (${status})\n${output}")
  endif()
endfunction()

# Leaves a checkout of the pinned commit in `source`.
function(_escribano_llama_fetch work source)
  find_program(NPM_EXECUTABLE npm REQUIRED)
  find_program(GIT_EXECUTABLE git REQUIRED)
  file(REMOVE_RECURSE ${work})
  file(MAKE_DIRECTORY ${work})
  _escribano_run("fetching ${LLAMA_PACKAGE} ${LLAMA_PACKAGE_VERSION}" ${CMAKE_COMMAND} -E chdir ${work}
                 ${NPM_EXECUTABLE} pack --loglevel=error --ignore-scripts ${LLAMA_PACKAGE}@${LLAMA_PACKAGE_VERSION})
  set(archive ${work}/${LLAMA_PACKAGE}-${LLAMA_PACKAGE_VERSION}.tgz)
  file(SHA512 ${archive} found)
  if(NOT found STREQUAL LLAMA_PACKAGE_SHA512)
    message(FATAL_ERROR "llama.cpp: ${LLAMA_PACKAGE} ${LLAMA_PACKAGE_VERSION} has SHA-512 ${found}, "
                        "cmake/llama.lock.cmake says ${LLAMA_PACKAGE_SHA512}; nothing of it was used")
  endif()
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${work} PATTERNS package/llama/gitRelease.bundle)
  file(REMOVE_RECURSE ${source})
  _escribano_run("unpacking" ${GIT_EXECUTABLE} clone --quiet --no-checkout ${work}/package/llama/gitRelease.bundle ${source})
  _escribano_run("checking out ${LLAMA_COMMIT}" ${GIT_EXECUTABLE} -C ${source} -c advice.detachedHead=false
                 checkout --quiet ${LLAMA_COMMIT})
endfunction()

function(_escribano_llama_pinned prefix_out source_out)
  if(DEFINED ENV{ESCRIBANO_BUILD_CACHE})
    set(cache $ENV{ESCRIBANO_BUILD_CACHE})
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(cache $ENV{XDG_CACHE_HOME}/escribano-build)
  else()
    set(cache $ENV{HOME}/.cache/escribano-build)
  endif()
  set(options -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF
      -DLLAMA_BUILD_MTMD=ON -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF
      -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_SUBPROCESS=OFF -DMTMD_VIDEO=OFF
      -DGGML_OPENMP=ON -DGGML_NATIVE=${ESCRIBANO_NATIVE} -DGGML_CCACHE=OFF
      -DGGML_CUDA=${ESCRIBANO_CUDA} -DGGML_VULKAN=${ESCRIBANO_VULKAN} -DGGML_METAL=${ESCRIBANO_METAL})
  # OpenMP where the compiler has it: ggml's own threads spin without end at every barrier, which hurts on a machine that
  # is busy with something else (a screen recorder, say); libgomp's go to sleep (docs/performance.md).
  if(CMAKE_CUDA_ARCHITECTURES)
    list(APPEND options -DCMAKE_CUDA_ARCHITECTURES=${CMAKE_CUDA_ARCHITECTURES})
  endif()
  set(source ${cache}/llama.cpp-${LLAMA_VERSION}-src)
  if(ESCRIBANO_NATIVE)
    _escribano_llama_cpu_features(cpu)
  else()
    set(cpu ${CMAKE_SYSTEM_PROCESSOR})
    # It goes to other machines: its messages name no folder of this one.
    list(APPEND options "-DCMAKE_C_FLAGS=$ENV{CFLAGS} -ffile-prefix-map=${source}=llama.cpp"
         "-DCMAKE_CXX_FLAGS=$ENV{CXXFLAGS} -ffile-prefix-map=${source}=llama.cpp")
  endif()
  # Recipe number: raise it when this function builds something else from the same inputs.
  string(SHA256 key "recipe 3|${LLAMA_COMMIT}|${LLAMA_PACKAGE_SHA512}|${options}|${cpu}|${CMAKE_SYSTEM_NAME}")
  string(SUBSTRING ${key} 0 16 key)
  set(prefix ${cache}/llama.cpp-${LLAMA_VERSION}-${key})
  file(MAKE_DIRECTORY ${cache})
  # Two configures at once: the second waits, and then finds the result of the first.
  file(LOCK ${cache}/lock GUARD FUNCTION TIMEOUT 3600)
  if(NOT EXISTS ${source}/.escribano-${LLAMA_COMMIT})
    message(STATUS "llama.cpp ${LLAMA_VERSION}: fetching")
    _escribano_llama_fetch(${cache}/fetch ${source})
    file(REMOVE_RECURSE ${cache}/fetch)
    file(TOUCH ${source}/.escribano-${LLAMA_COMMIT})
  endif()
  if(NOT EXISTS ${prefix}/.done)
    message(STATUS "llama.cpp ${LLAMA_VERSION}: building once for this machine (about 5 CPU minutes)")
    set(build ${cache}/build-${key})
    file(REMOVE_RECURSE ${build} ${prefix})
    _escribano_run("configuring" ${CMAKE_COMMAND} -G Ninja -S ${source} -B ${build} ${options}
                   -DCMAKE_INSTALL_PREFIX=${prefix} -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}
                   -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER})
    _escribano_run("building" ${CMAKE_COMMAND} --build ${build})
    _escribano_run("installing" ${CMAKE_COMMAND} --install ${build})
    file(REMOVE_RECURSE ${build})
    file(TOUCH ${prefix}/.done)
  endif()
  set(${prefix_out} ${prefix} PARENT_SCOPE)
  set(${source_out} ${source} PARENT_SCOPE)
endfunction()

if(ESCRIBANO_LLAMA STREQUAL "pinned")
  _escribano_llama_pinned(LLAMA_PREFIX LLAMA_SOURCE)
  list(PREPEND CMAKE_PREFIX_PATH ${LLAMA_PREFIX})
  if(NOT LLAMA_PREFIX STREQUAL ESCRIBANO_LLAMA_FOUND_IN)
    # What an earlier configure found belongs to another build of llama.cpp.
    get_cmake_property(cached CACHE_VARIABLES)
    foreach(variable IN LISTS cached)
      if(variable MATCHES "^(llama|ggml|GGML|MTMD)_.*(DIR|LIBRARY)$")
        unset(${variable} CACHE)
      endif()
    endforeach()
    set(ESCRIBANO_LLAMA_FOUND_IN ${LLAMA_PREFIX} CACHE INTERNAL "")
  endif()
elseif(NOT ESCRIBANO_LLAMA STREQUAL "system")
  message(FATAL_ERROR "ESCRIBANO_LLAMA is '${ESCRIBANO_LLAMA}'; it must be pinned, system or none")
endif()

set(_escribano_llama_version ${LLAMA_VERSION}) # find_package(llama) sets a variable of the same name
find_package(llama REQUIRED CONFIG)
find_library(MTMD_LIBRARY mtmd REQUIRED HINTS ${LLAMA_LIB_DIR} ${LLAMA_PREFIX}/lib)
find_path(MTMD_INCLUDE_DIR mtmd.h REQUIRED HINTS ${LLAMA_INCLUDE_DIR} ${LLAMA_PREFIX}/include)
set(LLAMA_VERSION ${_escribano_llama_version})

add_library(escribano_llama INTERFACE)
add_library(escribano::llama ALIAS escribano_llama)
target_include_directories(escribano_llama SYSTEM INTERFACE ${MTMD_INCLUDE_DIR})
target_link_libraries(escribano_llama INTERFACE ${MTMD_LIBRARY} llama Threads::Threads)
find_package(OpenMP)
if(OpenMP_CXX_FOUND)
  target_link_libraries(escribano_llama INTERFACE OpenMP::OpenMP_CXX)
endif()
