"""What commands say: to people on a terminal, to people who read lines, to programs. Computes and decides nothing.

`voice` says where a command's words go, `results` what they are, `tables` how they look on a terminal that
`screen` sets, `progress` what is seen while masks are scored. rich is imported where there is a terminal.
"""
