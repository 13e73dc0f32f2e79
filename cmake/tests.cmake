# ecs_unit_test(duration LIBS common …): test_duration.c with cmocka, run by ctest.
# ecs_fuzz(duration LIBS common …): fuzz_duration.c with libFuzzer (preset fuzz); ctest runs each
# for a few seconds.
function(ecs_unit_test name)
        cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
        add_executable(test_${name} test_${name}.c)
        target_link_libraries(test_${name} PRIVATE ${ARG_LIBS} PkgConfig::CMOCKA ecs_warnings)
        target_compile_definitions(test_${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
        add_test(NAME unit.${name} COMMAND test_${name})
        set_tests_properties(unit.${name} PROPERTIES TIMEOUT 60 LABELS unit)
endfunction()

function(ecs_fuzz name)
        if(NOT ECS_FUZZ)
                return()
        endif()
        cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
        add_executable(fuzz_${name} fuzz_${name}.c)
        target_link_libraries(fuzz_${name} PRIVATE ${ARG_LIBS} ecs_warnings)
        target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        add_test(NAME fuzz.${name} COMMAND fuzz_${name} -max_total_time=5 -max_len=4096)
        set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 60 LABELS fuzz)
endfunction()
