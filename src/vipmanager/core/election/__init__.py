"""The election: which of several replicas steers the floating IPs. Pure; `step` is all of it.

    event ---> step(state, event, now) ---> state', actions        no clock, no jitter, no thread
    wake(state, now) ---> when a Tick is due                       time is an argument
    election_findings(state, now) ---> what a person should read

Theory of operation
===================

The group's Kubernetes Lease decides, since its resourceVersion makes a write of it a
compare-and-swap. Whoever writes its own identity there, with one more transition, has a new
*generation* (Lease UID, transitions), and is the holder until it reads that somebody else is.
Nothing else makes a holder, and nothing else ends one: heartbeats only say when to try.

    state      hears                                             does                     becomes
    STANDBY    a rule of `standby` allows it                     WriteLease(ACQUIRE)      STANDBY
               accepted                                          WriteRoutes              HOLDER
               conflict                                          ReadLease                STANDBY
               no answer: perhaps done                           ReadLease                STANDBY
               a reading that shows what it wrote unheard        WriteRoutes              HOLDER
    HOLDER     a third of LeaseSeconds, a missing probe, ...     WriteLease(RENEW)        HOLDER
               conflict, no answer                               ReadLease                HOLDER
               a watch, or a heartbeat, tells of another         StopWriting, ReadLease   HOLDER
               a reading that shows another, or none             StopWriting              STANDBY
               asked to stop or to yield                          WriteLease(RELEASE)      HOLDER
               released                                          StopWriting              STANDBY
               its routes lead to another (the Lease unproven    nothing                  RELIEVED
               for LeaseSeconds, or that one heard)
    RELIEVED   a reading that shows another, or none             StopWriting              STANDBY
               the Lease is its own still                        nothing                  HOLDER
               a reading that shows its routes at no other       nothing                  HOLDER

`route_work` has the table of what a holder does about its routes, `standby` that of what may be
taken and when, `holder` what makes a renewal urgent.

Invariants
==========

1. A generation has one holder. The compare-and-swap sees to it: an acquisition always names a
   version that was read, and always adds a transition.
2. A write that corrects a route follows a reading of the routes, which follows nothing, and then a
   reading of the Lease, sent after it, that shows this generation. An acquisition or a renewal is
   as good as a reading. The proof lasts `fence` seconds from the moment it was *sent*, whatever
   happens to this process meanwhile: a process that was stopped and goes on finds it stale.
3. So an old holder's last write is sent at most `fence` seconds after it lost, and has landed after
   `write` more. The new holder reads the routes again until later than that.
4. A standby counts from when it *saw* life in the Lease, and a holder from before it *sent* it.
   Nobody compares a time of another machine, or the wall clock, with anything but itself.
5. Time in which the API does not answer is nobody's fault: it does not count towards expiry, and a
   holder that can't renew keeps its routes and writes none.

Heartbeats
==========

A standby probes the holder every `heartbeat`; each probe says which reply was heard last.

    1.00 intervals without an answer    the first miss
    1.75                                the holder misses the probe too, or has seen that its reply
                                        was not heard: it renews at once
    3.00                                the third miss: the standby acquires, by compare-and-swap

A renewal that reaches the Lease first makes the swap a conflict. A standby that sees life in the
Lease while it waits for an answer has learned that silence means nothing: it needs as many answers
in a row as before before its silence counts again. That is what keeps a partition between two
healthy pods from moving anything, as long as the holder's renewal takes less than two intervals.

Where it takes longer, the takeover was wrong. The old holder reads that it was taken for silent,
the new one hears a probe of the one it took for dead: either distrusts heartbeats for `distrust`
seconds and, as holder, says so in the Lease. While that stands there, only expiry counts.

A standby that was itself stopped has missed nothing: a probe that goes out late voids the count.

Deviations from what one might expect
=====================================

A holder that is unfit, or can't finish its wave, *offers* the Lease in its next renewal instead of
releasing it: it holds, serves and repairs until somebody fit has swapped it. So no list of
candidates is needed, and with none there is no gap. EC2 alone makes no holder unfit.
"""
