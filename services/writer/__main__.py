"""Runs the writer service: python -m services.writer"""

from chassis.process import run_stage
from services.writer.stage import make_tools, stage

if __name__ == "__main__":
    run_stage(stage, make_tools)
