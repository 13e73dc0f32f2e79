# The libraries the project stands on, each as an imported pkg-config target.

find_package(PkgConfig REQUIRED)

function(ecs_library name package)
        pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${package})
endfunction()

ecs_library(UV libuv)
ecs_library(JANSSON jansson)
ecs_library(CURL libcurl)
ecs_library(CRYPTO libcrypto)
ecs_library(PROTOBUF_C libprotobuf-c)
ecs_library(SQLITE sqlite3)
ecs_library(NL libnl-3.0)
ecs_library(NL_ROUTE libnl-route-3.0)
ecs_library(NFTABLES libnftables)
ecs_library(MICROHTTPD libmicrohttpd)
ecs_library(WSLAY libwslay)
ecs_library(CAP_NG libcap-ng)
ecs_library(SYSTEMD libsystemd)
if(ECS_TESTS)
        ecs_library(CMOCKA cmocka)
endif()

find_program(PROTOC_C protoc-c REQUIRED)
