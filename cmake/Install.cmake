# What cmake --install and cpack leave: the program with what it finds beside itself, and the client library for
# find_package(escribano).
#
# Nothing of it names the folder it was built in or is installed to, so that a prefix can be moved as it is. The program looks
# for ../share/escribano from where it lies itself, so these two are not adjustable as the folders of GNUInstallDirs are.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/escribano)

# One archive of the folders that the client is made of: whoever links it need not know them, nor the JSON library.
add_library(escribano_client STATIC)
add_library(escribano::client ALIAS escribano_client)
foreach(part base format domain protocol bridge_client)
  target_sources(escribano_client PRIVATE $<TARGET_OBJECTS:escribano_${part}>)
endforeach()
set_target_properties(escribano_client PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME escribano-client EXPORT_NAME client)
target_compile_features(escribano_client PUBLIC cxx_std_20)
target_link_libraries(escribano_client PUBLIC tl::expected fmt::fmt PRIVATE Threads::Threads spdlog::spdlog)
# These and no others are public: whatever one of them includes is in the list, too.
target_sources(escribano_client PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/src FILES
               ${CMAKE_SOURCE_DIR}/src/base/error.h
               ${CMAKE_SOURCE_DIR}/src/base/log.h
               ${CMAKE_SOURCE_DIR}/src/domain/frame_result.h
               ${CMAKE_SOURCE_DIR}/src/domain/intelligence_service.h
               ${CMAKE_SOURCE_DIR}/src/intelligence/bridge_client.h
               ${CMAKE_SOURCE_DIR}/src/protocol/request.h)
install(TARGETS escribano_client EXPORT escribano ARCHIVE FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/escribano)

if(TARGET escribano)
  install(TARGETS escribano EXPORT escribano RUNTIME DESTINATION bin)
  install(PROGRAMS $<TARGET_FILE_DIR:escribano>/escribano-bridge DESTINATION bin) # a link, and it stays one
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/assets/demo-model ${CMAKE_SOURCE_DIR}/assets/samples DESTINATION share/escribano)
  if(TARGET reference)
    set(reference ${CMAKE_BINARY_DIR}/reference)
    install(FILES ${reference}/escribano.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    # Where each shell looks under a prefix like /usr.
    install(FILES ${reference}/escribano.bash DESTINATION share/bash-completion/completions RENAME escribano)
    install(FILES ${reference}/_escribano DESTINATION share/zsh/site-functions)
    install(FILES ${reference}/escribano.fish DESTINATION share/fish/vendor_completions.d)
  endif()
endif()

install(EXPORT escribano NAMESPACE escribano:: FILE escribano-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/escribano-config.cmake.in ${CMAKE_BINARY_DIR}/escribano-config.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/escribano-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/escribano-config.cmake ${CMAKE_BINARY_DIR}/escribano-config-version.cmake
        DESTINATION ${package_dir})

install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(LLAMA_SOURCE AND TARGET escribano) # it is part of the program
  install(FILES ${LLAMA_SOURCE}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.llama.cpp)
endif()

set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_FILE_NAME escribano-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_STRIP_FILES ON)
set(CPACK_SOURCE_GENERATOR "") # the sources are a git tag
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
