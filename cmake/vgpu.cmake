# libhonegpu.so: the virtual GPU. Handler files (src/vgpu/op_*.c) are compiled once per instruction set.
file(GLOB vgpu_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/vgpu/*.c ${CMAKE_SOURCE_DIR}/src/vgpu/driver/*.c)
file(GLOB vgpu_ops CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/vgpu/op_*.c)
list(REMOVE_ITEM vgpu_sources ${vgpu_ops})
set(vgpu_isa_objects)
file(GLOB device_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/share/hone/devices/*.gpu)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/generated/vgpu_devices.h
  COMMAND ${CMAKE_COMMAND} -DOUT=${CMAKE_BINARY_DIR}/generated/vgpu_devices.h -DDIR=${CMAKE_SOURCE_DIR}/share/hone/devices
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_devices.cmake
  DEPENDS ${device_files} ${CMAKE_SOURCE_DIR}/cmake/embed_devices.cmake)
list(APPEND vgpu_sources ${CMAKE_BINARY_DIR}/generated/vgpu_devices.h)
foreach(isa baseline avx2 avx512)
  if(vgpu_ops)
    add_library(hone_vgpu_${isa} OBJECT ${vgpu_ops})
    target_link_libraries(hone_vgpu_${isa} PUBLIC hone_options)
    target_compile_definitions(hone_vgpu_${isa} PRIVATE VG_ISA=${isa})
    target_compile_options(hone_vgpu_${isa} PRIVATE -O3 -fno-trapping-math)   # nothing reads the exception flags; selects vectorise
    list(APPEND vgpu_isa_objects $<TARGET_OBJECTS:hone_vgpu_${isa}>)
  endif()
endforeach()
if(vgpu_ops)
  target_compile_options(hone_vgpu_avx2 PRIVATE -mavx2 -mfma -mf16c -mbmi -mbmi2)
  target_compile_options(hone_vgpu_avx512 PRIVATE -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mbmi -mbmi2 -mprefer-vector-width=512)
endif()
if(vgpu_sources)
  add_library(hone_vgpu_objects STATIC ${vgpu_sources} ${vgpu_isa_objects})   # for unit tests of internals
  target_link_libraries(hone_vgpu_objects PUBLIC hone_ptx hone_base)
  add_library(honegpu SHARED)
  target_sources(honegpu PRIVATE ${vgpu_sources} ${vgpu_isa_objects})
  target_link_libraries(honegpu PRIVATE hone_options hone_ptx hone_base)
  set_target_properties(honegpu PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  target_link_options(honegpu PRIVATE -Wl,--exclude-libs,ALL -Wl,-soname,libhonegpu.so -Wl,--version-script=${CMAKE_SOURCE_DIR}/src/vgpu/driver/exports.map)
endif()
