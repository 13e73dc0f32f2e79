# add_worker(engine SOURCES … LIBS …): a static library with the worker's code, so that unit tests
# and fuzz targets link it, and the executable ecs-engine made of main.c and that library.
function(add_worker name)
        cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
        add_library(worker_${name} STATIC ${ARG_SOURCES})
        target_include_directories(worker_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
        target_link_libraries(worker_${name} PUBLIC ipc common ${ARG_LIBS} PRIVATE ecs_warnings)
        add_executable(ecs-${name} main.c)
        target_link_libraries(ecs-${name} PRIVATE worker_${name} ecs_warnings)
        install(TARGETS ecs-${name} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/ecs-agent)
endfunction()
