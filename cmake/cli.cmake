# The hone program.
file(GLOB cli_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/*.c)
if(cli_sources)
  add_executable(hone ${cli_sources})
  target_link_libraries(hone PRIVATE hone_serve hone_review hone_export hone_report hone_search hone_evaluate hone_measure hone_check hone_compile hone_gpu
                        hone_models hone_llm hone_store hone_learn hone_propose hone_task hone_cuda hone_base PkgConfig::JANSSON)
  add_dependencies(hone ${cudart_targets})   # `hone run` starts programs on them
  set_target_properties(hone PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endif()
