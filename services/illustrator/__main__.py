"""Runs the illustrator service: python -m services.illustrator"""

from chassis.process import run_stage
from services.illustrator.stage import make_tools, stage

if __name__ == "__main__":
    run_stage(stage, make_tools)
