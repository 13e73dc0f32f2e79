# Run at build time: writes OUTPUT, a C file with the commit and the licence text of SOURCE_DIR.
execute_process(COMMAND git rev-parse --short=8 HEAD WORKING_DIRECTORY ${SOURCE_DIR}
        OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git status --porcelain --untracked-files=no WORKING_DIRECTORY ${SOURCE_DIR}
        OUTPUT_VARIABLE changes OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
        set(commit 00000000)
endif()
set(dirty false)
if(changes)
        set(dirty true)
endif()
set(text)
foreach(name LICENSE NOTICE)
        if(EXISTS ${SOURCE_DIR}/${name})
                file(READ ${SOURCE_DIR}/${name} bytes HEX)
                string(APPEND text ${bytes})
        endif()
endforeach()
string(REGEX REPLACE "(..)" "0x\\1," text "${text}")
file(WRITE ${OUTPUT}.new "#include \"build_info.h\"

const char build_commit[] = \"${commit}\";
const bool build_dirty = ${dirty};
const char build_license[] = {${text}};
const size_t build_license_size = sizeof build_license;
")
file(COPY_FILE ${OUTPUT}.new ${OUTPUT} ONLY_IF_DIFFERENT)
