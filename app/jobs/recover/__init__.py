"""What crashes, outages and given-up messages leave behind, put right by QStash's calls or a timer.

It takes rows whose lease or patience has run out, and never one that an attempt still holds.
"""
