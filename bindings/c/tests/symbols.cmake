# Compares what LIBRARY exports under our prefix with the list in SYMBOLS.
execute_process(COMMAND ${NM} -D --defined-only --format=posix ${LIBRARY} OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "(^|\n)roomlet_[a-z0-9_]+ T" exported "${listing}")
list(TRANSFORM exported REPLACE "\n| T" "")
list(SORT exported)
file(STRINGS ${SYMBOLS} wanted)
if(NOT exported STREQUAL wanted)
  message(FATAL_ERROR "${LIBRARY} exports\n${exported}\nbut ${SYMBOLS} lists\n${wanted}")
endif()
