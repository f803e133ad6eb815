# libhonegpu.so: the virtual GPU. Handler files (src/vgpu/op_*.c) are compiled once per instruction set, everything else once; the shared library and the
# static one for unit tests and benchmarks take the same objects.
file(GLOB vgpu_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/vgpu/*.c ${CMAKE_SOURCE_DIR}/src/vgpu/driver/*.c)
file(GLOB vgpu_ops CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/vgpu/op_*.c)
list(REMOVE_ITEM vgpu_sources ${vgpu_ops})
file(GLOB device_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/share/hone/devices/*.gpu)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/generated/vgpu_devices.h
  COMMAND ${CMAKE_COMMAND} -DOUT=${CMAKE_BINARY_DIR}/generated/vgpu_devices.h -DDIR=${CMAKE_SOURCE_DIR}/share/hone/devices
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_devices.cmake
  DEPENDS ${device_files} ${CMAKE_SOURCE_DIR}/cmake/embed_devices.cmake)

add_library(hone_vgpu_core OBJECT ${vgpu_sources} ${CMAKE_BINARY_DIR}/generated/vgpu_devices.h)
target_link_libraries(hone_vgpu_core PUBLIC hone_options PkgConfig::ZSTD)   # fat binaries are packed with it
target_compile_options(hone_vgpu_core PRIVATE -fno-strict-aliasing)
file(GLOB vgpu_fpshadow CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/vgpu/fpshadow*.c)
set_source_files_properties(${vgpu_fpshadow} PROPERTIES COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Check>>:-O3>;-fno-trapping-math")
# each watched access of memory goes through these
file(GLOB vgpu_races CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/vgpu/race*.c)
set_source_files_properties(${vgpu_races} PROPERTIES COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Check>>:-O3>")
set(vgpu_objects $<TARGET_OBJECTS:hone_vgpu_core>)

set(isa_flags_baseline)
set(isa_flags_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2)
set(isa_flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mbmi -mbmi2 -mprefer-vector-width=512)
set(HONE_VGPU_ISAS baseline avx2 avx512 CACHE STRING "instruction sets that handlers are compiled for; test builds leave out what cannot run")
foreach(isa ${HONE_VGPU_ISAS})
  string(TOUPPER ${isa} isa_upper)
  target_compile_definitions(hone_vgpu_core PRIVATE VG_WITH_${isa_upper})
  add_library(hone_vgpu_${isa} OBJECT ${vgpu_ops})
  target_link_libraries(hone_vgpu_${isa} PUBLIC hone_options)
  target_compile_definitions(hone_vgpu_${isa} PRIVATE VG_ISA=${isa})
  # rows are read as integers and as floats; nothing reads the exception flags, and without them selects vectorise
  target_compile_options(hone_vgpu_${isa} PRIVATE $<$<NOT:$<CONFIG:Check>>:-O3> -fno-strict-aliasing -fno-trapping-math ${isa_flags_${isa}})
  list(APPEND vgpu_objects $<TARGET_OBJECTS:hone_vgpu_${isa}>)
endforeach()

add_library(hone_vgpu_objects STATIC ${vgpu_objects})
target_link_libraries(hone_vgpu_objects PUBLIC hone_options hone_ptx hone_base PkgConfig::ZSTD)
add_library(honegpu SHARED ${vgpu_objects})
target_link_libraries(honegpu PRIVATE hone_options hone_ptx hone_base PkgConfig::ZSTD)
set_target_properties(honegpu PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
target_link_options(honegpu PRIVATE -Wl,--exclude-libs,ALL -Wl,-soname,libhonegpu.so -Wl,--version-script=${CMAKE_SOURCE_DIR}/src/vgpu/driver/exports.map)

# build/lib/libcuda.so.1: what a program linked with -lcuda asks the loader for, when LD_LIBRARY_PATH names that folder.
add_custom_command(TARGET honegpu POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/lib
  COMMAND ${CMAKE_COMMAND} -E create_symlink ../libhonegpu.so ${CMAKE_BINARY_DIR}/lib/libcuda.so.1
  COMMAND ${CMAKE_COMMAND} -E create_symlink libcuda.so.1 ${CMAKE_BINARY_DIR}/lib/libcuda.so)
