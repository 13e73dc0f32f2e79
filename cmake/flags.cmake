# Compiler flags as interface targets: ecs_warnings for our own code (never for generated code),
# ecs_flags for everything (standard, sanitizers, hardening). All build options are declared here.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckIPOSupported)
include(CheckLinkerFlag)
include(CheckPIESupported)

option(ECS_TESTS "build the unit tests" ON)
option(ECS_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(ECS_FUZZ "build the libFuzzer targets (clang)" OFF)
option(ECS_COVERAGE "gcov instrumentation" OFF)
option(ECS_HARDEN "release hardening flags" OFF)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
check_pie_supported(LANGUAGES C)

# ECS_COMMIT for the few files that show it.
execute_process(COMMAND git rev-parse --short=8 HEAD WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
        OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
        set(commit 00000000)
endif()

add_library(ecs_flags INTERFACE)
target_compile_definitions(ecs_flags INTERFACE _GNU_SOURCE ECS_VERSION="${PROJECT_VERSION}")
target_compile_options(ecs_flags INTERFACE -fno-strict-aliasing -fno-omit-frame-pointer)

add_library(ecs_warnings INTERFACE)
target_compile_options(ecs_warnings INTERFACE -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes
        -Wmissing-prototypes -Wvla -Wformat=2 -Wconversion
        # tables of SQL have statements of several lines
        $<$<C_COMPILER_ID:Clang>:-Wno-string-concatenation>)

# Tests and sanitizer builds may divide every timer by a factor (--time-scale); releases may not.
if(NOT ECS_HARDEN)
        target_compile_definitions(ecs_flags INTERFACE ECS_TIME_SCALE=1)
endif()

if(ECS_SANITIZE)
        target_compile_options(ecs_flags INTERFACE -fsanitize=address,undefined
                -fno-sanitize-recover=all)
        target_link_options(ecs_flags INTERFACE -fsanitize=address,undefined)
endif()
if(ECS_FUZZ)
        # coverage of the code under test, not of the fuzz target alone
        target_compile_options(ecs_flags INTERFACE -fsanitize=fuzzer-no-link)
        target_link_options(ecs_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ECS_COVERAGE)
        target_compile_options(ecs_flags INTERFACE --coverage)
        target_link_options(ecs_flags INTERFACE --coverage)
endif()

# What a compiler or a machine lacks is left out, one check each.
function(ecs_harden_compile name flag)
        check_c_compiler_flag(${flag} ${name})
        if(${name})
                target_compile_options(ecs_flags INTERFACE ${flag})
        endif()
endfunction()

function(ecs_harden_link name flag)
        check_linker_flag(C ${flag} ${name})
        if(${name})
                target_link_options(ecs_flags INTERFACE ${flag})
        endif()
endfunction()

function(ecs_harden)
        set(fortify 2)
        set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
        check_c_source_compiles("#include <stdio.h>
#if __USE_FORTIFY_LEVEL < 3
#error not supported
#endif
int main(void) { return 0; }" HARDEN_FORTIFY_3)
        unset(CMAKE_REQUIRED_FLAGS)
        if(HARDEN_FORTIFY_3)
                set(fortify 3)
        endif()
        target_compile_options(ecs_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${fortify})
        ecs_harden_compile(HARDEN_STACK_PROTECTOR -fstack-protector-strong)
        ecs_harden_compile(HARDEN_STACK_CLASH -fstack-clash-protection)
        ecs_harden_compile(HARDEN_CET -fcf-protection=full)                # x86
        ecs_harden_compile(HARDEN_BRANCH -mbranch-protection=standard)     # arm64
        ecs_harden_compile(HARDEN_ZERO_INIT -ftrivial-auto-var-init=zero)
        ecs_harden_link(HARDEN_RELRO -Wl,-z,relro,-z,now)
        ecs_harden_link(HARDEN_NOEXECSTACK -Wl,-z,noexecstack)
        ecs_harden_link(HARDEN_SEPARATE_CODE -Wl,-z,separate-code)
endfunction()

if(ECS_HARDEN)
        ecs_harden()
        check_ipo_supported(RESULT ecs_lto OUTPUT ecs_lto_reason LANGUAGES C)
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${ecs_lto})
        if(NOT ecs_lto)
                message(STATUS "no link time optimization: ${ecs_lto_reason}")
        endif()
endif()
