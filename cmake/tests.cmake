# ecs_unit_test(duration LIBS common …): test_duration.c with cmocka, run by ctest as unit.duration
# and, where there is no sanitizer, as valgrind.duration under memcheck (test preset valgrind),
# unless NO_VALGRIND is given: say why beside it.
# ecs_fuzz(duration LIBS common …): fuzz_duration.c with libFuzzer (preset fuzz). ctest runs each for
# ECS_FUZZ_SECONDS on what test/fuzz/corpus/duration keeps, with test/fuzz/duration.dict if there is
# one; what it finds is written to the build folder, the corpus stays as it is. WRAP names functions
# that the target replaces (ld --wrap).
set(ECS_FUZZ_SECONDS 3 CACHE STRING "how long ctest runs each fuzz target")
find_program(VALGRIND valgrind)

function(ecs_unit_test name)
        cmake_parse_arguments(ARG "NO_VALGRIND" "" "LIBS" ${ARGN})
        add_executable(test_${name} test_${name}.c)
        target_link_libraries(test_${name} PRIVATE ${ARG_LIBS} PkgConfig::CMOCKA ecs_warnings)
        target_compile_definitions(test_${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
        add_test(NAME unit.${name} COMMAND test_${name})
        set_tests_properties(unit.${name} PROPERTIES TIMEOUT 60 LABELS unit)
        if(VALGRIND AND NOT ECS_SANITIZE AND NOT ARG_NO_VALGRIND)
                add_test(NAME valgrind.${name} COMMAND ${VALGRIND} --quiet --error-exitcode=99
                        --leak-check=full --errors-for-leak-kinds=definite,indirect
                        --child-silent-after-fork=yes $<TARGET_FILE:test_${name}>)
                set_tests_properties(valgrind.${name} PROPERTIES TIMEOUT 300 LABELS valgrind)
        endif()
endfunction()

function(ecs_fuzz name)
        if(NOT ECS_FUZZ)
                return()
        endif()
        cmake_parse_arguments(ARG "" "" "LIBS;SOURCES;WRAP" ${ARGN})
        add_executable(fuzz_${name} fuzz_${name}.c ${ARG_SOURCES})
        foreach(f ${ARG_WRAP})
                target_link_options(fuzz_${name} PRIVATE -Wl,--wrap=${f})
        endforeach()
        target_link_libraries(fuzz_${name} PRIVATE ${ARG_LIBS} ecs_warnings)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        set(found ${CMAKE_CURRENT_BINARY_DIR}/${name})
        file(MAKE_DIRECTORY ${found}/corpus)
        set(arguments -max_total_time=${ECS_FUZZ_SECONDS} -max_len=4096 -timeout=10
                -print_final_stats=1 -artifact_prefix=${found}/ ${found}/corpus)
        if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
                list(APPEND arguments ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
        endif()
        if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}.dict)
                list(APPEND arguments -dict=${CMAKE_CURRENT_SOURCE_DIR}/${name}.dict)
        endif()
        add_test(NAME fuzz.${name} COMMAND fuzz_${name} ${arguments})
        set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
