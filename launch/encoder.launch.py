"""The vehicle's side: a stereo camera's pictures in, features out."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    def argument(name: str, default: str, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)

    def value(name: str, kind: type) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=kind)

    return LaunchDescription(
        [
            argument("left", "left/image_rect_color", "Left image topic; its camera_info is the topic's sibling."),
            argument("right", "right/image_rect_color", "Right image topic; its camera_info is the topic's sibling."),
            argument("compressed", "false", "Subscribe to <topic>/compressed instead.", ["true", "false"]),
            argument("reliable_images", "false", "Ask for reliable images, as replayed bags offer.", ["true", "false"]),
            argument("assume_rectified", "false", "The images are rectified although camera_info has distortion."),
            argument("disparity_offset", "0.0", "Pixels to add to measured disparities; KITTI at full size: 0.52."),
            argument("model", "default", "Name of a model that ships with sicm_ros, or the folder of another."),
            argument("quality", "0.5", "0 (fewest bytes) to 1 (best features)."),
            argument("device", "cpu", "Where the network runs.", ["cpu", "cuda"]),
            argument("namespace", "", "Namespace of the vehicle; moves every topic of the node."),
            argument("use_sim_time", "false", "Take the time from /clock, as for a bag played with --clock."),
            argument(
                "params",
                PathJoinSubstitution([FindPackageShare("sicm_ros"), "config", "encoder.yaml"]),
                "YAML file with all parameters; the arguments above overrule it.",
            ),
            Node(
                package="sicm_ros",
                executable="encoder_node",
                name="encoder",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    LaunchConfiguration("params"),
                    {
                        "model": value("model", str),
                        "device": value("device", str),
                        "quality": value("quality", float),
                        "compressed": value("compressed", bool),
                        "reliable_images": value("reliable_images", bool),
                        "assume_rectified": value("assume_rectified", bool),
                        "disparity_offset": value("disparity_offset", float),
                        "use_sim_time": value("use_sim_time", bool),
                    },
                ],
                remappings=[
                    ("left/image_rect_color", LaunchConfiguration("left")),
                    ("right/image_rect_color", LaunchConfiguration("right")),
                ],
            ),
        ]
    )
