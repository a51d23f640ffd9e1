# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
# Builds messages quickly, for Python nodes alone. Given to colcon as CMAKE_PROJECT_INCLUDE, so that CMakeLists.txt stays what a
# ROS machine expects.

# What C++ nodes would need is left out. C's introspection stays: Fast DDS describes types by it.
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE
  REGEX "^rosidl_(generator|typesupport|typesupport_fastrtps|typesupport_introspection)_cpp:")

# One file per library instead of one per message: most of compiling is reading the same headers again. Descriptions of
# types repeat those that they refer to, under the same names, so theirs stay apart.
set(CMAKE_UNITY_BUILD ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 0)
function(sicm_keep_descriptions_apart)
  set(descriptions ${PROJECT_NAME}__rosidl_generator_c)
  if(TARGET ${descriptions})
    set_target_properties(${descriptions} PROPERTIES UNITY_BUILD OFF)
  endif()
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL sicm_keep_descriptions_apart)
