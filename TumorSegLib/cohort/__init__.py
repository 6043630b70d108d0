"""Many cases at once: found, planned, segmented on Ray's workers, and listed for quality control.

`finding` makes cases of what the user names, `plan` leaves out what is done already, `case_run` is
what a worker does with one case, `ray_run` hands cases to the workers of `ray_pool`, `table` and
`overview` sum up.
"""
