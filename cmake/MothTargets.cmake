# The headers that nearly every source includes, parsed once: that is most of what compiling costs. Sources include
# what they use all the same; builds of the release preset, which precompile nothing, see to it.
if(MOTH_PCH)
  file(WRITE "${CMAKE_BINARY_DIR}/precompiled.cpp" "")
  add_library(moth_precompiled OBJECT "${CMAKE_BINARY_DIR}/precompiled.cpp")
  target_precompile_headers(moth_precompiled PRIVATE "${CMAKE_SOURCE_DIR}/cmake/precompiled.h")
  target_include_directories(moth_precompiled PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(moth_precompiled PRIVATE moth_base)
  # So that compiler caches take the result for the same when it is.
  target_compile_options(moth_precompiled PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
endif()

function(moth_use_precompiled name)
  if(MOTH_PCH AND NOT name STREQUAL moth_base)
    target_precompile_headers(${name} REUSE_FROM moth_precompiled)
    # What is precompiled with -fPIC is refused where -fPIE is told, as it is for programs.
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIC)
  endif()
endfunction()

# moth_library(NAME [DEPS target...] [PRIVATE_DEPS target...])
#   One static library from all *.cpp of the calling folder. DEPS are public, PRIVATE_DEPS are not.
#   Includes go from the repository root. A folder of headers alone gives an interface library.
function(moth_library name)
  cmake_parse_arguments(arg "" "" "DEPS;PRIVATE_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${arg_DEPS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC ${arg_DEPS} PRIVATE moth_warnings ${arg_PRIVATE_DEPS})
  moth_use_precompiled(${name})
endfunction()

# moth_test(NAME [DEPS target...]): one GoogleTest program from all *.cpp of the calling folder.
function(moth_test name)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE moth_warnings ${arg_DEPS} GTest::gtest GTest::gtest_main)
  moth_use_precompiled(${name})
  target_compile_definitions(${name} PRIVATE MOTH_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  if(MOTH_SANITIZE)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "${MOTH_SANITIZER_ENVIRONMENT}")
  endif()
endfunction()

# moth_add_subdirectories(): every direct sub-folder that has a CMakeLists.txt, in alphabetical order.
# Targets may name each other before they are defined, so the order is of no meaning.
function(moth_add_subdirectories)
  file(GLOB children CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt")
  foreach(child ${children})
    get_filename_component(folder "${child}" DIRECTORY)
    add_subdirectory("${folder}")
  endforeach()
endfunction()
