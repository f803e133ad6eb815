# Tests: tests/unit/ROOM/test_*.c each become an executable linked with hone_ROOM (vgpu: hone_vgpu_objects).
enable_testing()
add_library(fakedriver MODULE EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/fault/fake_driver.c)   # scripted errors for fault tests
target_include_directories(fakedriver PRIVATE ${CMAKE_SOURCE_DIR}/src)
set_target_properties(fakedriver PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
# The virtual GPU presented as physical ones (build/fakegpu/libphysical.so): HONE_CUDA_DRIVER=build/fakegpu/libphysical.so hone … --device cuda:0
add_library(physicaldriver MODULE EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/fault/physical_driver.c)
target_link_libraries(physicaldriver PRIVATE m ${CMAKE_DL_LIBS})
target_compile_definitions(physicaldriver PRIVATE _GNU_SOURCE)
target_include_directories(physicaldriver PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
set_target_properties(physicaldriver PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fakegpu OUTPUT_NAME physical LINK_DEPENDS $<TARGET_FILE:honegpu>)   # made anew with its copy
add_dependencies(physicaldriver honegpu)
add_custom_command(TARGET physicaldriver POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E copy_if_different $<TARGET_FILE:honegpu> ${CMAKE_BINARY_DIR}/fakegpu/libhonegpu_physical.so)
set_property(GLOBAL APPEND PROPERTY hone_test_targets physicaldriver)
add_library(fakenvml MODULE EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/fault/fake_nvml.c)   # NVML as a test says; beside the physical driver
target_link_libraries(fakenvml PRIVATE m)
target_link_options(fakenvml PRIVATE -Wl,-soname,libnvidia-ml.so.1)   # a program that has it loaded finds it by this name
set_target_properties(fakenvml PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fakegpu PREFIX "" OUTPUT_NAME libnvidia-ml SUFFIX .so.1)
set_property(GLOBAL APPEND PROPERTY hone_test_targets fakenvml)
add_library(fakeclock MODULE EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/fault/fake_clock.c)   # preloaded: time passes only where that device works
target_compile_definitions(fakeclock PRIVATE _GNU_SOURCE)
target_link_libraries(fakeclock PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(fakeclock PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fakegpu PREFIX "" OUTPUT_NAME clock)
set_property(GLOBAL APPEND PROPERTY hone_test_targets fakeclock)
if(CMOCKA_FOUND)
  file(GLOB unit_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/*/test_*.c)
  find_library(MPFR mpfr)
  find_library(GMP gmp)
  if(NOT MPFR OR NOT GMP)
    message(WARNING "libmpfr is absent: vgpu/test_oracle is not built")
    list(FILTER unit_tests EXCLUDE REGEX "test_oracle")
  endif()
  foreach(source ${unit_tests})
    get_filename_component(name ${source} NAME_WE)
    get_filename_component(dir ${source} DIRECTORY)
    get_filename_component(room ${dir} NAME)
    add_executable(${room}_${name} EXCLUDE_FROM_ALL ${source})
    if(room STREQUAL "vgpu")
      target_link_libraries(${room}_${name} PRIVATE hone_vgpu_objects)
    else()
      target_link_libraries(${room}_${name} PRIVATE hone_${room})
    endif()
    target_link_libraries(${room}_${name} PRIVATE PkgConfig::CMOCKA)
    if(name STREQUAL "test_oracle")
      target_link_libraries(${room}_${name} PRIVATE ${MPFR} ${GMP} m)
    endif()
    target_compile_definitions(${room}_${name} PRIVATE TESTS_DIR="${CMAKE_SOURCE_DIR}/tests" SOURCE_DIR="${CMAKE_SOURCE_DIR}" BUILD_DIR="${CMAKE_BINARY_DIR}")
    if(room STREQUAL "evaluate" AND TARGET honegpu)
      add_dependencies(${room}_${name} honegpu)
    endif()
    if(room MATCHES "^(gpu|measure|search)$")
      add_dependencies(${room}_${name} fakedriver physicaldriver fakenvml)
    endif()
    add_test(NAME unit/${room}/${name} COMMAND ${room}_${name})
    set_property(GLOBAL APPEND PROPERTY hone_test_targets ${room}_${name})
  endforeach()
endif()

# The virtual GPU against a physical one (`ctest -L gpu`): skipped loudly without one. And against itself through the driver that presents it as
# physical, so that the program is tried where there is no GPU.
file(GLOB gpu_diff_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/gpu/*.c)
add_executable(gpu_diff EXCLUDE_FROM_ALL ${gpu_diff_files})
target_include_directories(gpu_diff PRIVATE ${CMAKE_SOURCE_DIR}/tests/gpu)
target_link_libraries(gpu_diff PRIVATE hone_evaluate ${CMAKE_DL_LIBS})
add_dependencies(gpu_diff honegpu physicaldriver)
set_property(GLOBAL APPEND PROPERTY hone_test_targets gpu_diff)
add_test(NAME gpu/diff COMMAND gpu_diff --device cuda:0 --examples ${CMAKE_SOURCE_DIR}/examples --json ${CMAKE_BINARY_DIR}/gpu_diff.json)
set_tests_properties(gpu/diff PROPERTIES SKIP_RETURN_CODE 77 LABELS gpu ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)   # drivers keep tables until the end
add_test(NAME diff/gpu_diff COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0 HONE_CUDA_DRIVER=$<TARGET_FILE:physicaldriver> HONE_FAKE_GPU=time=1
         $<TARGET_FILE:gpu_diff> --device cuda:0)
add_test(NAME diff/gpu_diff_faults COMMAND ${CMAKE_SOURCE_DIR}/tests/gpu/faults.sh $<TARGET_FILE:gpu_diff> $<TARGET_FILE:physicaldriver>)

# Hang, fault, loss, memory, several devices: the paths for hardware, on that driver.
add_test(NAME cli/gpu_faults COMMAND ${CMAKE_SOURCE_DIR}/tests/fault/gpu.sh $<TARGET_FILE:hone> $<TARGET_FILE:physicaldriver>)
add_test(NAME cli/gpu_energy COMMAND ${CMAKE_SOURCE_DIR}/tests/fault/energy.sh $<TARGET_FILE:hone> $<TARGET_FILE:physicaldriver>)
add_test(NAME cli/gpu_bench COMMAND ${CMAKE_SOURCE_DIR}/tests/fault/bench.sh $<TARGET_FILE:hone> $<TARGET_FILE:physicaldriver>)
add_test(NAME cli/gpu_counters COMMAND ${CMAKE_SOURCE_DIR}/tests/fault/counters.sh $<TARGET_FILE:hone> $<TARGET_FILE:physicaldriver> ${CMAKE_SOURCE_DIR}/tests)

# Command-line tests: tests/cli/*.sh through tests/cli/run.sh. One worker process each at most, so that two run side by side.
file(GLOB cli_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/cli/*.sh)
list(REMOVE_ITEM cli_tests ${CMAKE_SOURCE_DIR}/tests/cli/run.sh)
foreach(script ${cli_tests})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME cli/${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/cli/run.sh $<TARGET_FILE:hone> ${CMAKE_SOURCE_DIR} ${script})
endforeach()

# Candidates that attack the program that judges them.
add_test(NAME cli/hostile_sources COMMAND python3 ${CMAKE_SOURCE_DIR}/tests/hostile/sources.py $<TARGET_FILE:hone>)

# A driver-API program like any public sample, against the virtual GPU; and the program's own folder of libraries is where hone looks for it.
add_executable(driver_smoke EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/diff/driver_smoke.c)
target_link_libraries(driver_smoke PRIVATE hone_options)
set_property(GLOBAL APPEND PROPERTY hone_test_targets driver_smoke)
add_test(NAME diff/driver_smoke COMMAND driver_smoke $<TARGET_FILE:honegpu> ${CMAKE_SOURCE_DIR}/tests/diff/driver_smoke.ptx)
set_tests_properties(diff/driver_smoke PROPERTIES SKIP_RETURN_CODE 77)

# What nvcc's host code does with the runtime library, by hand, on both major versions: needs no toolkit.
add_executable(runtime_smoke EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/diff/runtime_smoke.c)
target_link_libraries(runtime_smoke PRIVATE hone_options)
set_property(GLOBAL APPEND PROPERTY hone_test_targets runtime_smoke)
foreach(major 12 13)
  add_test(NAME diff/runtime_smoke_${major} COMMAND runtime_smoke $<TARGET_FILE:cudart${major}> ${major})
endforeach()

# CUDA programs with main(), built with nvcc, on libcudart and the virtual GPU: tests/cudart/programs/*.cu, those without a .stdout are parts of others.
# And the table of the runtime API against what the libraries export and the documentation says.
file(GLOB cudart_programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/cudart/programs/*.stdout)
foreach(expected ${cudart_programs})
  get_filename_component(name ${expected} NAME_WE)
  add_test(NAME cudart/${name} COMMAND python3 ${CMAKE_SOURCE_DIR}/tests/cudart/run.py ${CMAKE_BINARY_DIR}/lib "${HONE_TOOLKIT}"
    ${CMAKE_SOURCE_DIR}/tests/cudart/programs/${name}.cu)
  set_tests_properties(cudart/${name} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
add_test(NAME cudart/api COMMAND python3 ${CMAKE_SOURCE_DIR}/tests/cudart/api.py ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/lib "${HONE_TOOLKIT}")

# Kernels of compute capability 9.0 as nvcc compiles them: skipped loudly without nvcc.
add_executable(hopper_probe EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/diff/hopper_probe.c)
target_link_libraries(hopper_probe PRIVATE hone_options)
set_property(GLOBAL APPEND PROPERTY hone_test_targets hopper_probe)
add_test(NAME diff/hopper_probe COMMAND ${CMAKE_SOURCE_DIR}/tests/diff/hopper_probe.sh $<TARGET_FILE:hopper_probe> $<TARGET_FILE:honegpu>
  ${CMAKE_SOURCE_DIR}/tests/diff/hopper_probe.cu)
set_tests_properties(diff/hopper_probe PROPERTIES SKIP_RETURN_CODE 77)

# A program that includes the toolkit's cuda.h and is linked with -lcuda alone runs on build/lib/libcuda.so.1. Skips loudly without a toolkit.
find_path(CUDA_INCLUDE cuda.h HINTS ${HONE_TOOLKIT} $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(CUDA_STUB cuda HINTS ${CUDA_INCLUDE}/.. ${HONE_TOOLKIT} $ENV{CUDA_HOME} /usr/local/cuda PATH_SUFFIXES lib64/stubs targets/x86_64-linux/lib/stubs lib/stubs NO_DEFAULT_PATH)
if(CUDA_INCLUDE AND CUDA_STUB)
  add_executable(driver_sample EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/diff/driver_sample.c)
  target_include_directories(driver_sample PRIVATE ${CUDA_INCLUDE})
  target_link_libraries(driver_sample PRIVATE ${CUDA_STUB})
  set_target_properties(driver_sample PROPERTIES SKIP_BUILD_RPATH ON)
  add_dependencies(driver_sample honegpu)
  set_property(GLOBAL APPEND PROPERTY hone_test_targets driver_sample)
  # a program without AddressSanitizer that loads a library with it preloads its runtime
  add_test(NAME diff/driver_sample COMMAND sh -c "LD_LIBRARY_PATH=${CMAKE_BINARY_DIR}/lib LD_PRELOAD=$HONE_ASAN_PRELOAD exec $<TARGET_FILE:driver_sample>")
else()
  add_test(NAME diff/driver_sample COMMAND sh -c "echo 'skipped: no toolkit with cuda.h and a stub libcuda.so'; exit 77")
endif()
set_tests_properties(diff/driver_sample PROPERTIES SKIP_RETURN_CODE 77)

# docs/driver-api.md says what api.def says.
add_test(NAME docs/driver_api COMMAND python3 ${CMAKE_SOURCE_DIR}/scripts/driver_api_page.py --check)

# The labelled set of the sanitizer.
find_program(NVCC nvcc HINTS /usr/local/cuda/bin $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin)
add_executable(sanitizer_labelled EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/sanitizer/run.c)
target_include_directories(sanitizer_labelled PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(sanitizer_labelled PRIVATE ${CMAKE_DL_LIBS})
if(HONE_SANITIZE)   # the library it loads needs their run-time
  target_link_options(sanitizer_labelled PRIVATE -fsanitize=${HONE_SANITIZE} -Wl,--no-as-needed)
endif()
set_property(GLOBAL APPEND PROPERTY hone_test_targets sanitizer_labelled)
add_test(NAME sanitizer/labelled COMMAND ${CMAKE_SOURCE_DIR}/tests/sanitizer/run.sh ${NVCC} $<TARGET_FILE:sanitizer_labelled> $<TARGET_FILE:honegpu>
         ${CMAKE_SOURCE_DIR}/tests/sanitizer)
set_tests_properties(sanitizer/labelled PROPERTIES SKIP_RETURN_CODE 77)

# The exploit corpus: every cheat refused by name, every honest optimisation passed.
if(EXISTS ${CMAKE_SOURCE_DIR}/tests/exploits/run.py)
  foreach(part 1 2)   # side by side
    add_test(NAME exploits/${part} COMMAND python3 ${CMAKE_SOURCE_DIR}/tests/exploits/run.py $<TARGET_FILE:hone> --jobs 1 --part ${part}/2)
  endforeach()
endif()

# Calibrating against the virtual GPU must give back the device file's own parameters.
foreach(device h200 l4)
  add_test(NAME calibrate/${device} COMMAND sh -c "LD_PRELOAD=$HONE_ASAN_PRELOAD exec python3 ${CMAKE_SOURCE_DIR}/bench/calibrate/run.py \
    --device virtual:${device} --check --libdir $<TARGET_FILE_DIR:honegpu> --out ${CMAKE_BINARY_DIR}/calibrate_${device}.gpu")
  set_tests_properties(calibrate/${device} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()

# What share of the PTX that compilers emit is supported, by decoding every form; and the page of supported forms is the one the tables give.
add_test(NAME ptx_coverage COMMAND hone-ptx-coverage --min 100 ${CMAKE_SOURCE_DIR}/tests/data/ptx_opcodes.tsv)
add_test(NAME ptx_support_page COMMAND sh -c "$<TARGET_FILE:hone-ptx-coverage> --support | diff -u ${CMAKE_SOURCE_DIR}/docs/ptx-support.md -")
set_property(GLOBAL APPEND PROPERTY hone_test_targets hone-ptx-coverage)

# The MCP server: golden transcripts, and a whole optimisation through the public client SDK; the reward server through HTTP.
file(GLOB transcripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/mcp/*.txt)
foreach(script ${transcripts})
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME mcp/${name} COMMAND python3 ${CMAKE_SOURCE_DIR}/tests/mcp/transcript.py $<TARGET_FILE:hone> ${CMAKE_SOURCE_DIR} ${script})
endforeach()
add_test(NAME mcp/sdk COMMAND ${CMAKE_SOURCE_DIR}/tests/mcp/sdk.sh $<TARGET_FILE:hone> ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
set_tests_properties(mcp/sdk PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME serve/reward COMMAND python3 ${CMAKE_SOURCE_DIR}/tests/serve/reward.py $<TARGET_FILE:hone> ${CMAKE_SOURCE_DIR})

add_test(NAME layering COMMAND python3 ${CMAKE_SOURCE_DIR}/tests/layering.py ${CMAKE_SOURCE_DIR})

# Fuzz targets: tests/fuzz/fuzz_ROOM_WHAT.c with clang's libFuzzer; a bounded number of runs over the corpus in tests/fuzz/corpus/fuzz_ROOM_WHAT.
find_program(FUZZ_CC NAMES clang clang-14 clang-16 clang-19)
file(GLOB fuzz_targets CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
set(fuzz_rooms_ptx base ptx)
set(fuzz_rooms_cuda base cuda)
set(fuzz_rooms_task base cuda task)
set(fuzz_rooms_store base store)
set(fuzz_rooms_import base import)
set(fuzz_rooms_vgpu base ptx)   # and the virtual GPU's own sources, below
set(fuzz_rooms_serve base)
set(fuzz_sources_serve ${CMAKE_SOURCE_DIR}/src/serve/jsonrpc.c)   # the framing alone: the rest of the room needs half the program
set(fuzz_rooms_llm base)
set(fuzz_flags_vgpu -fno-strict-aliasing -DVG_ISA=baseline -DVG_WITH_BASELINE -I${CMAKE_BINARY_DIR}/generated)   # with the handlers of the baseline instruction set
list(APPEND fuzz_sources_vgpu ${vgpu_sources} ${vgpu_ops})   # handlers at -O0: they are most of the time to compile, and little of a fuzzer's
set(fuzz_cflags -std=gnu17 -O1 -g1 -fno-sanitize-recover=undefined -D_GNU_SOURCE -DHONE_VERSION="fuzz" -I${CMAKE_SOURCE_DIR}/src -I${CMAKE_SOURCE_DIR}/include)
# fuzz_object(SOURCE FLAGS OUT): an object of clang's, made once however many targets take it
function(fuzz_object source flags out)
  file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${source})
  set(object ${CMAKE_BINARY_DIR}/fuzz/${path}.o)
  get_property(known GLOBAL PROPERTY hone_fuzz_objects)
  if(NOT object IN_LIST known)
    get_filename_component(folder ${object} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${object} COMMAND ${CMAKE_C_COMPILER_LAUNCHER} ${FUZZ_CC} ${fuzz_cflags} ${flags} -fsanitize=fuzzer-no-link,address,undefined
      -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source} ${CMAKE_BINARY_DIR}/generated/vgpu_devices.h DEPFILE ${object}.d VERBATIM)
    set_property(GLOBAL APPEND PROPERTY hone_fuzz_objects ${object})
  endif()
  set(${out} ${object} PARENT_SCOPE)
endfunction()
if(FUZZ_CC)
  foreach(source ${fuzz_targets})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^fuzz_([a-z]+)_.*" "\\1" room ${name})
    fuzz_object(${source} "${fuzz_flags_${room}}" object)
    set(objects ${object})
    foreach(more ${fuzz_sources_${room}})
      set(flags ${fuzz_flags_${room}})
      if(more MATCHES "/op_")
        list(APPEND flags -O0)
      endif()
      fuzz_object(${more} "${flags}" object)
      list(APPEND objects ${object})
    endforeach()
    foreach(r ${fuzz_rooms_${room}})
      file(GLOB room_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${r}/*.c)
      foreach(more ${room_sources})
        fuzz_object(${more} "" object)
        list(APPEND objects ${object})
      endforeach()
    endforeach()
    set(exe ${CMAKE_BINARY_DIR}/${name})
    add_custom_command(OUTPUT ${exe} COMMAND ${FUZZ_CC} -fsanitize=fuzzer,address,undefined ${objects}
      -lcrypto -lzstd -ljansson -lsqlite3 -lm -lpthread -ldl -o ${exe} DEPENDS ${objects} VERBATIM)
    add_custom_target(build_${name} DEPENDS ${exe})
    set_property(GLOBAL APPEND PROPERTY hone_test_targets build_${name})
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    if(EXISTS ${corpus})
      add_test(NAME fuzz/${name} COMMAND ${exe} -seed=1 -entropic=0 -runs=20000 -max_total_time=8 -rss_limit_mb=2048 -artifact_prefix=${CMAKE_BINARY_DIR}/ ${CMAKE_BINARY_DIR}/corpus_${name} ${corpus})
      file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/corpus_${name})
    else()
      add_test(NAME fuzz/${name} COMMAND ${exe} -seed=1 -entropic=0 -runs=20000 -max_total_time=8 -rss_limit_mb=2048 -artifact_prefix=${CMAKE_BINARY_DIR}/)
    endif()
  endforeach()
endif()

# Tests that load NVRTC do without two checks of AddressSanitizer: NVRTC reads past a string of its own (12.9) and leaks.
# A program without AddressSanitizer that loads a library with it (python and libhonegpu.so) preloads its runtime: HONE_ASAN_PRELOAD.
set(preload "")
if(HONE_SANITIZE MATCHES "address")
  execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libasan.so OUTPUT_VARIABLE preload OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
get_property(all_tests DIRECTORY PROPERTY TESTS)
foreach(test ${all_tests})
  set(asan allocator_may_return_null=1)
  if(test MATCHES "^(cli/|calibrate/|exploits|mcp/|serve/|unit/(api|compile|evaluate|propose)/)")
    string(APPEND asan ":intercept_strlen=0:intercept_strchr=0:intercept_strndup=0:replace_str=0:detect_leaks=0")
  endif()
  if(test MATCHES "^unit/llm/")   # freed memory is kept for a while: a test of the client looks at how much there is
    string(APPEND asan ":quarantine_size_mb=4")
  endif()
  set(cost 1)   # the longest start first
  if(test MATCHES "^(exploits/|cudart/cccl|cli/(unevaluated_archive|gpu_energy|gpu_bench|model_replay)|unit/evaluate/test_worker)")
    set(cost 60)
  elseif(test MATCHES "^(cli/(check_mutants|model_meanwhile|certificate|rollouts|hostile_sources|gpu_faults)|unit/check/test_judge)")
    set(cost 30)
  endif()
  set(limit 300)
  if(test MATCHES "^(cudart/|mcp/sdk|exploits|unit/check/test_judge|cli/gpu_)")   # nvcc over templates, an SDK from PyPI, and many evaluations
    set(limit 900)
  endif()
  set_tests_properties(${test} PROPERTIES TIMEOUT ${limit} COST ${cost} ENVIRONMENT "ASAN_OPTIONS=${asan};UBSAN_OPTIONS=print_stacktrace=1;TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp;HONE_ASAN_PRELOAD=${preload}")
endforeach()

get_property(test_targets GLOBAL PROPERTY hone_test_targets)
add_custom_target(tests DEPENDS ${test_targets})
