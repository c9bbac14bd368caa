"""A run of a thousand phones, put down by hand; see recordings."""

from __future__ import annotations

from recordings import Recording, bed

MANY = 1000


def many() -> Recording:
    """A thousand phones register, browse, fail over within 2 s and come back; some of their requests fail."""
    recording = Recording(bed(phones=MANY))
    recording.steps(10.0, 50.0)
    recording.fault("kill", "ccm-1", 20.0, 35.0, hosts=("ccm-1",))
    for place, phone in enumerate(recording.topology.phones):
        late_s = place * 0.002
        for at_s, at, rank in ((1.0, "ccm-1", 0), (20.1, "ccm-bk", 1), (36.0, "ccm-1", 0)):
            if at_s > 1.0:
                origin = "ccm-1" if at == "ccm-bk" else "ccm-bk"
                lost = {"phone": phone, "at": origin, "cause": "closed", "state": "active"}
                recording.event(at_s + late_s, "phones-1", "CallControlLost", **lost)
                moved = {"phone": phone, "from": origin, "to": at, "direction": "failover"}
                recording.event(at_s + late_s + 0.06, "phones-1", "Rehomed", **moved)
            recording.event(
                at_s + late_s + 0.02, "phones-1", "CallControlConnected", phone=phone, to=at, rank=rank, state="active"
            )
            recording.event(
                at_s + late_s + 0.05, "phones-1", "Registered", phone=phone, at=at, rank=rank, duration_s=0.05
            )
            recording.event(at_s + late_s + 0.05, at, "PhoneRegistered", phone=phone)
        for second in range(12, 48, 4):
            name = "UrlFailed" if 20 < second < 28 and place % 3 == 0 else "UrlAnswered"
            took = {"phone": phone, "url": "http://172.26.1.2/text", "elapsed_s": 0.004 + place * 1e-5, "status": 200}
            recording.event(second + late_s, "phones-1", name, **took)
    return recording
