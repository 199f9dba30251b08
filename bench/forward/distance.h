/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far two cores are from each other: the time that a cache line takes from one to the other and back.  On a virtual
 * machine this changes when the hypervisor moves its CPUs, and with it all that is measured between them.  And how fast
 * they are: whom the hypervisor lets run on the other thread of the same core takes half of what it can do, which hits
 * those hardest who wait least for memory.
 */
#ifndef BENCH_FORWARD_DISTANCE_H
#define BENCH_FORWARD_DISTANCE_H

/*
 * Nanoseconds of a round trip, the least of some series; takes about a millisecond on threads of its own. NAN if the
 * cores can't be had. Other threads may run on the cores: the series that they did not interrupt counts.
 */
double fwd_distance_ns(int cpu_a, int cpu_b);

/*
 * Nanoseconds that the slower of two cores, both at work, takes for a thousand additions that wait for each other: the
 * median of some series, half a millisecond in all.  NAN as above.
 */
double fwd_pace_ns(int cpu_a, int cpu_b);

#endif
