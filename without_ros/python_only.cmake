# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
# Leaves out what C++ nodes would need of our messages: a third of the files to compile, and the slowest. Given to colcon as
# CMAKE_PROJECT_INCLUDE, so that CMakeLists.txt stays what a ROS machine expects. C's introspection stays: Fast DDS describes
# types by it.
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE
  REGEX "^rosidl_(generator|typesupport|typesupport_fastrtps|typesupport_introspection)_cpp:")
