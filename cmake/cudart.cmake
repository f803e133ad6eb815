# libcudart.so.12 and .13: the CUDA runtime API on top of libhonegpu.so, for programs built with nvcc -cudart shared. The same sources twice, since
# some structures differ; symbols carry the version that nvcc's programs ask for. Both lie in a folder of their own (build/lib, LIBDIR/hone): a program
# finds them by LD_LIBRARY_PATH, which `hone run` sets.
file(GLOB cudart_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cudart/*.c)
set(cudart_targets)
foreach(major 12 13)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/cudart${major}.map CONTENT "libcudart.so.@major@ { global: cuda*; __cuda*; local: *; };\n" @ONLY)
  add_library(cudart${major} SHARED ${cudart_sources})
  target_compile_definitions(cudart${major} PRIVATE HONE_CUDART_MAJOR=${major})
  target_link_libraries(cudart${major} PRIVATE hone_options hone_ptx hone_base)
  target_link_options(cudart${major} PRIVATE -Wl,--exclude-libs,ALL -Wl,-soname,libcudart.so.${major}
    -Wl,--version-script=${CMAKE_BINARY_DIR}/generated/cudart${major}.map)
  set_target_properties(cudart${major} PROPERTIES PREFIX "" OUTPUT_NAME libcudart SUFFIX .so.${major} NO_SONAME ON
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  add_dependencies(cudart${major} honegpu)
  list(APPEND cudart_targets cudart${major})
endforeach()
add_custom_command(TARGET cudart13 POST_BUILD COMMAND ${CMAKE_COMMAND} -E create_symlink libcudart.so.13 ${CMAKE_BINARY_DIR}/lib/libcudart.so)
