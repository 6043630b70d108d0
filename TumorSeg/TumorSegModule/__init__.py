"""The panel of TumorSeg: Qt in the widget, MRML in the logic, neither in runner and client."""
