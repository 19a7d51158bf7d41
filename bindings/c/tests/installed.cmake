# Installs below BUILD and builds the minimal programs with what `pkg-config` says.
cmake_minimum_required(VERSION 3.19)
set(prefix ${BUILD}/installed)
file(REMOVE_RECURSE ${prefix})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
set(ENV{LD_LIBRARY_PATH} ${prefix}/${LIBDIR})

# Builds `source` with `compiler`; further arguments are for pkg-config.
function(prints wanted compiler source)
  # The file names the prefix that was configured.
  execute_process(COMMAND ${PKG_CONFIG} --define-prefix ${ARGN} --cflags --libs roomlet
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  if("--static" IN_LIST ARGN)
    list(TRANSFORM flags REPLACE "^-lroomlet$" "-l:libroomlet.a")
  endif()
  execute_process(COMMAND ${compiler} ${EXAMPLES}/${source} -o ${prefix}/program ${flags} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${prefix}/program OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
  if(NOT said STREQUAL "${wanted}\n")
    message(FATAL_ERROR "${source} printed ${said}")
  endif()
endfunction()

set(reads "reads {\"m.text\":[{\"body\":\"hello from alice\"}]}")
prints("@alice:one.example ${reads}" ${CC} minimal.c)
prints("@alice:one.example ${reads}" ${CC} minimal.c --static)
prints("@bob:two.example ${reads}" "${CXX};-std=c++17" minimal.cpp)
