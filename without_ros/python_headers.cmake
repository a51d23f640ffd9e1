# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
# Mends, once the top-level CMakeLists has run and all targets are known, what the ROS wheels' generators say about Python's
# header folders. Given to colcon as CMAKE_PROJECT_INCLUDE, so that our CMakeLists.txt stays what a ROS machine expects.
function(sicm_mend_python_headers)
  # The wheels' targets name folders of the machine that built them; here they get this machine's.
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    if(target MATCHES "__rosidl_generator_py$")
      set_target_properties(${target} PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${Python3_INCLUDE_DIRS};${Python3_NumPy_INCLUDE_DIRS}")
    endif()
  endforeach()
  # Our own target names .venv, which lies in the source folder; CMake wouldn't export that.
  set(own ${PROJECT_NAME}__rosidl_generator_py)
  if(TARGET ${own})
    get_target_property(folders ${own} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
      set_target_properties(${own} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "$<BUILD_INTERFACE:${folders}>")
    endif()
  endif()
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL sicm_mend_python_headers)
