# Makes the imported target `roomlet::roomlet` from the library that Cargo built. Copy it, or include it:
#
#   set(ROOMLET_LIB_DIR /path/to/target/release)
#   include(/path/to/bindings/c/roomlet.cmake)
#   target_link_libraries(app PRIVATE roomlet::roomlet)
get_filename_component(ROOMLET_ROOT "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
# A cache entry would hide a variable that the including project has set (CMP0126).
if(NOT DEFINED ROOMLET_INCLUDE_DIR)
  set(ROOMLET_INCLUDE_DIR "${ROOMLET_ROOT}/include" CACHE PATH "Where roomlet.h is")
endif()
if(NOT DEFINED ROOMLET_LIB_DIR)
  set(ROOMLET_LIB_DIR "${ROOMLET_ROOT}/target/debug" CACHE PATH "Where Cargo put libroomlet")
endif()
get_filename_component(ROOMLET_LIB_DIR_ABSOLUTE "${ROOMLET_LIB_DIR}" ABSOLUTE)
set(ROOMLET_LIBRARY
  "${ROOMLET_LIB_DIR_ABSOLUTE}/${CMAKE_SHARED_LIBRARY_PREFIX}roomlet${CMAKE_SHARED_LIBRARY_SUFFIX}")
if(NOT EXISTS "${ROOMLET_LIBRARY}")
  message(FATAL_ERROR "There is no ${ROOMLET_LIBRARY}: `cargo build --release -p roomlet-ffi` makes it in target/release "
    "of roomlet's checkout; set ROOMLET_LIB_DIR to its folder")
endif()

if(NOT TARGET roomlet::roomlet)
  add_library(roomlet::roomlet SHARED IMPORTED GLOBAL)
  # Cargo gives the library no soname, so it is found by its path.
  set_target_properties(roomlet::roomlet PROPERTIES
    IMPORTED_LOCATION "${ROOMLET_LIBRARY}"
    IMPORTED_NO_SONAME ON
    INTERFACE_INCLUDE_DIRECTORIES "${ROOMLET_INCLUDE_DIR}")
endif()
