"""The engine: one module for each step from files to a healthy stack.

``compose``, ``render``, ``plan``, ``apply``, ``wait``, ``drift`` … each have one public function.
Import the module of the step: the package imports nothing by itself, so that a step that is not
used costs nothing.
"""
