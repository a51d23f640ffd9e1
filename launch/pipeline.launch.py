"""Both sides on one machine, with a bag or a KITTI folder to feed them."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    def argument(name: str, default: str, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)

    def value(name: str, kind: type) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=kind)

    def side(name: str, *names: str, **others: object) -> IncludeLaunchDescription:
        file = PathJoinSubstitution([FindPackageShare("sicm_ros"), "launch", f"{name}.launch.py"])
        forwarded = {n: LaunchConfiguration(n) for n in ("model", "device", "namespace", "use_sim_time", *names)}
        return IncludeLaunchDescription(file, launch_arguments=(forwarded | others).items())

    # One of bag and kitti; with neither, the pictures come from a camera's driver.
    path = PythonExpression(["'''", LaunchConfiguration("bag"), "''' or '''", LaunchConfiguration("kitti"), "'''"])
    # A replayed bag offers reliable pictures, so that none is lost on the way.
    plays = PythonExpression(["'true' if '''", path, "''' else 'false'"])
    replay = Node(
        package="sicm_ros",
        executable="replay_node",
        name="replay",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            {
                "path": ParameterValue(path, value_type=str),
                "preset": value("preset", str),
                "rate": value("rate", float),
                "loop": value("loop", bool),
                "wait_for_subscribers": 600.0,
            }
        ],
        condition=IfCondition(plays),
    )
    link = PythonExpression(["'true' if '''", LaunchConfiguration("link"), "''' else 'false'"])
    arriving = PythonExpression(["'link/features' if '''", LaunchConfiguration("link"), "''' else 'features'"])
    return LaunchDescription(
        [
            argument("bag", "", "Bag to play: .mcap, .db3 or a folder. Empty for a live camera (or kitti:=)."),
            argument("kitti", "", "KITTI folder to play instead: a raw drive, an object set or an odometry sequence."),
            argument("preset", "auto", "Layout of the bag's topics; auto finds the known ones."),
            argument("rate", "1.0", "Speed of playing, relative to the recording."),
            argument("loop", "false", "Play again and again; otherwise all ends with the bag.", ["true", "false"]),
            argument("model", "default", "Name of a model that ships with sicm_ros, or the folder of another."),
            argument("quality", "0.5", "0 (fewest bytes) to 1 (best features)."),
            argument("device", "cpu", "Where the network runs.", ["cpu", "cuda"]),
            argument("compressed", "false", "The bag (or the camera) has CompressedImage topics.", ["true", "false"]),
            argument("min_score", "0.4", "Detections below this score are not published, 0 to 1."),
            argument(
                "link",
                "",
                "Emulated link between encoder and decoder: perfect, wifi, lte, lte_poor, 5g, bad_day. Empty for none.",
            ),
            argument(
                "rviz", "false", "Open RViz with left image, boxes, points and bird's-eye view.", ["true", "false"]
            ),
            argument("namespace", "", "Namespace of everything, such as the vehicle's name."),
            argument(
                "use_sim_time", "true", "Take the time from /clock, which the replay publishes; false for a camera."
            ),
            side("encoder", "quality", "compressed", reliable_images=plays),
            side("decoder", "min_score", "rviz", features=arriving),
            Node(
                package="sicm_ros",
                executable="link_node",
                name="link",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[{"profile": value("link", str)}],
                condition=IfCondition(link),
            ),
            replay,
            RegisterEventHandler(
                OnProcessExit(target_action=replay, on_exit=[EmitEvent(event=Shutdown(reason="the bag has ended"))]),
                condition=IfCondition(plays),
            ),
        ]
    )
