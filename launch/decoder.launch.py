"""The remote side: features in, 3D detections out."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    def argument(name: str, default: str, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)

    def value(name: str, kind: type) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=kind)

    share = FindPackageShare("sicm_ros")
    return LaunchDescription(
        [
            argument("model", "default", "The encoder's model: the name of one that ships, or a folder."),
            argument("min_score", "0.4", "Detections below this score are not published, 0 to 1."),
            argument("device", "cpu", "Where the network runs.", ["cpu", "cuda"]),
            argument("namespace", "", "Namespace of the vehicle whose features are decoded."),
            argument("use_sim_time", "false", "Take the time from /clock, as for a bag played with --clock."),
            argument("features", "features", "Topic of the feature messages; link/features behind an emulated link."),
            argument("rviz", "false", "Open RViz on the detections.", ["true", "false"]),
            argument(
                "params",
                PathJoinSubstitution([share, "config", "decoder.yaml"]),
                "YAML file with all parameters; the arguments above overrule it.",
            ),
            Node(
                package="sicm_ros",
                executable="decoder_node",
                name="decoder",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    LaunchConfiguration("params"),
                    {
                        "model": value("model", str),
                        "device": value("device", str),
                        "min_score": value("min_score", float),
                        "use_sim_time": value("use_sim_time", bool),
                    },
                ],
                remappings=[("features", LaunchConfiguration("features"))],
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=LaunchConfiguration("namespace"),
                arguments=["-d", PathJoinSubstitution([share, "config", "pipeline.rviz"])],
                parameters=[{"use_sim_time": value("use_sim_time", bool)}],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
