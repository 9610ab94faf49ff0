# The llama-server of the pinned llama.cpp, for tests and benches: the target llama_server, and LLAMA_SERVER_EXECUTABLE.
#
# Built when the target is asked for, once for a machine, into the cache that the libraries are in (cmake/Llama.cmake): all
# presets share it. It runs as a process of its own, so sanitizers do not concern it.
#
# This file is included at configure time, and run with cmake -P to build.

if(NOT CMAKE_SCRIPT_MODE_FILE)
  # Recipe number: raise it when cmake/llama-server builds something else from the same inputs.
  string(SHA256 key "server recipe 1|${LLAMA_PREFIX}")
  string(SUBSTRING ${key} 0 16 key)
  get_filename_component(cache ${LLAMA_PREFIX} DIRECTORY)
  set(server_prefix ${cache}/llama-server-${LLAMA_VERSION}-${key})
  set(LLAMA_SERVER_EXECUTABLE ${server_prefix}/llama-server CACHE INTERNAL "where the target llama_server leaves it")
  add_custom_target(llama_server
    COMMAND ${CMAKE_COMMAND} -DCACHE=${cache} -DPREFIX=${server_prefix} -DLLAMA_SOURCE=${LLAMA_SOURCE}
            -DLLAMA_PREFIX=${LLAMA_PREFIX} -DC_COMPILER=${CMAKE_C_COMPILER} -DCXX_COMPILER=${CMAKE_CXX_COMPILER}
            -P ${CMAKE_CURRENT_LIST_FILE}
    COMMENT "llama-server (some CPU minutes the first time on a machine)"
    VERBATIM)
  return()
endif()

# Two builds at once: the second waits, and then finds the result of the first.
file(LOCK ${CACHE}/server-lock GUARD PROCESS TIMEOUT 3600)
if(EXISTS ${PREFIX}/.done)
  return()
endif()

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(LENGTH "${output}" length)
    if(length GREATER 4000)
      math(EXPR from "${length} - 4000")
      string(SUBSTRING "${output}" ${from} -1 output)
    endif()
    message(FATAL_ERROR "llama-server: ${what} failed (${status})\n${output}")
  endif()
endfunction()

set(build ${PREFIX}-build)
file(REMOVE_RECURSE ${build} ${PREFIX})
run("configuring" ${CMAKE_COMMAND} -G Ninja -S ${CMAKE_CURRENT_LIST_DIR}/llama-server -B ${build}
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=${C_COMPILER} -DCMAKE_CXX_COMPILER=${CXX_COMPILER}
    -DESCRIBANO_LLAMA_SOURCE=${LLAMA_SOURCE} -DESCRIBANO_LLAMA_PREFIX=${LLAMA_PREFIX})
run("building" ${CMAKE_COMMAND} --build ${build} --target llama-server)
file(MAKE_DIRECTORY ${PREFIX})
file(COPY ${build}/server/llama-server DESTINATION ${PREFIX})
file(REMOVE_RECURSE ${build})
file(TOUCH ${PREFIX}/.done)
