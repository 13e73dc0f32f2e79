# Compiler flags as interface targets: ecs_warnings for our code only (never for generated code),
# ecs_flags for everything (standard, sanitizers, hardening).

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

add_library(ecs_flags INTERFACE)
target_compile_definitions(ecs_flags INTERFACE _GNU_SOURCE ECS_VERSION="${PROJECT_VERSION}")
target_compile_options(ecs_flags INTERFACE -fno-strict-aliasing -fno-omit-frame-pointer)

add_library(ecs_warnings INTERFACE)
target_compile_options(ecs_warnings INTERFACE -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes
        -Wmissing-prototypes -Wvla -Wformat=2)

# Tests and sanitizer builds may divide every timer by a factor (--time-scale); releases may not.
if(NOT ECS_HARDEN)
        target_compile_definitions(ecs_flags INTERFACE ECS_TIME_SCALE=1)
endif()

if(ECS_SANITIZE)
        target_compile_options(ecs_flags INTERFACE -fsanitize=address,undefined
                -fno-sanitize-recover=all)
        target_link_options(ecs_flags INTERFACE -fsanitize=address,undefined)
endif()
if(ECS_COVERAGE)
        target_compile_options(ecs_flags INTERFACE --coverage)
        target_link_options(ecs_flags INTERFACE --coverage)
endif()
if(ECS_HARDEN)
        target_compile_options(ecs_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
                -fstack-protector-strong -fstack-clash-protection)
        target_link_options(ecs_flags INTERFACE -Wl,-z,relro,-z,now -pie)
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()
