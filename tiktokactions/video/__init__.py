"""Reading and writing video: the only room that touches the decoder and the encoder (PyAV, no ffmpeg binary).

Variable frame rates, broken time stamps, rotation, non-square pixels, colour range and damaged packets are handled here and
nowhere else. Everything outside sees frames with a number and a time, small pictures, and clips.
"""

from __future__ import annotations

from tiktokactions.video.colour import matrix_named
from tiktokactions.video.container import VideoError
from tiktokactions.video.cut import ClipSettings, CutClip, cut_clip, library_versions, look_through
from tiktokactions.video.decode import Frame, Shape, VideoFile
from tiktokactions.video.pictures import AnalysisScaler, fit_size, shrink, split_planes, to_bgr, upright
from tiktokactions.video.read import Backend, ClipReader, UnreadableError
from tiktokactions.video.timing import SAME_TIME_S, nominal_rate
