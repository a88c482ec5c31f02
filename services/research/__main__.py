"""Runs the research service: python -m services.research"""

from chassis.process import run_stage
from services.research.stage import make_tools, stage

if __name__ == "__main__":
    run_stage(stage, make_tools)
