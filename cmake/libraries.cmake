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
# wslay ships no pkg-config file on every distribution; a source folder serves where it is missing.
set(WSLAY_SOURCE_DIR "" CACHE PATH "wslay's source, for distributions without a package")
if(WSLAY_SOURCE_DIR)
        set(CMAKE_POLICY_VERSION_MINIMUM 3.5) # its own is older than CMake 4 takes
        set(WSLAY_STATIC ON)
        set(WSLAY_CONFIGURE_INSTALL OFF)
        add_subdirectory(${WSLAY_SOURCE_DIR}/lib wslay EXCLUDE_FROM_ALL)
        # its config.h is not for us, who have one of that name
        set_target_properties(wslay PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                "${WSLAY_SOURCE_DIR}/lib/includes;${CMAKE_BINARY_DIR}/wslay/includes")
        add_library(PkgConfig::WSLAY ALIAS wslay)
else()
        find_library(WSLAY_LIBRARY wslay REQUIRED)
        find_path(WSLAY_INCLUDE_DIR wslay/wslay.h REQUIRED)
        add_library(PkgConfig::WSLAY UNKNOWN IMPORTED)
        set_target_properties(PkgConfig::WSLAY PROPERTIES IMPORTED_LOCATION ${WSLAY_LIBRARY}
                INTERFACE_INCLUDE_DIRECTORIES ${WSLAY_INCLUDE_DIR})
endif()
ecs_library(CAP_NG libcap-ng)
ecs_library(SYSTEMD libsystemd)
ecs_library(ZLIB zlib)
if(ECS_TESTS)
        ecs_library(CMOCKA cmocka)
endif()

find_program(PROTOC_C protoc-c REQUIRED)
