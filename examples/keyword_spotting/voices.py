# SPDX-License-Identifier: Apache-2.0
"""The vocabulary, and which espeak-ng voices train, validate and test the keyword spotter."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LABELS = ("silence", "unknown", *KEYWORDS)

# British English is "en": espeak-ng 1.51 takes "en-gb" too, but then ignores the variant.
ACCENTS = (
    "en-us", "en", "en-gb-scotland", "en-gb-x-rp",
    "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc",
)  # fmt: skip

# A voice is an espeak-ng variant. Variants made from one another, or with the same formants
# (edward and edward2, f4 and aunty ...), stay on one side, so that no test voice has a sibling in
# training. Whispered variants are left out. Validation and test hold human-like voices only:
# formants 1 and 2 within 75 to 135 % of espeak-ng's standard voice, and no drone of echoes.
VARIANTS = {
    "train": (
        "", "m1", "m2", "m4", "m8", "f1", "croak", "klatt", "klatt2", "klatt3", "klatt4",
        "klatt5", "Alex", "Alicia", "Andy", "AnxiousAndy", "Diogo", "Gene", "Gene2",
        "Henrique", "Hugo", "Jacky", "Mario", "Michael", "Mike", "Nguyen", "RicishayMax",
        "RicishayMax2", "RicishayMax3", "Storm", "Tweaky", "adam", "anika", "anikaRobot",
        "antonio", "benjamin", "david", "ed", "grandma", "grandpa", "gustave", "iven",
        "iven2", "iven3", "iven4", "john", "kaukovalta", "linda", "marcelo", "max", "michel",
        "miguel", "pablo", "paul", "pedro", "rob", "robert", "robosoft", "robosoft2",
        "robosoft3", "robosoft4", "robosoft5", "robosoft6", "robosoft7", "robosoft8", "shelby",
        "steph", "steph2", "steph3", "travis", "zac",
    ),
    "validation": ("m5", "f3", "Denis", "belinda", "boris", "victor"),
    "test": (
        "m3", "m6", "m7", "f2", "f4", "f5", "Andrea", "Annie", "Lee", "Marco", "aunty",
        "edward", "edward2", "norbert", "quincy", "sandro",
    ),
}  # fmt: skip

# Words which must not be taken for a keyword; many share a beginning, an end or the vowel.
UNKNOWN_TRAINING = words("""
    yet yellow guess less press west nose note snow nor not now new knee cup pup upper us
    uncle under town dawn dome done drown brown noun loft lift lived laugh leaf leg let red
    ride light wide white rice reach one own own-goal want won honest fun odd of often cough
    soft awful officer step stock star stay strap store shop top goat gold girl get grow okay
    so show low toe home house bird cat dog dog-house tree wow happy marvin sheila bed zero two
    three four six seven eight nine music volume window kitchen lamp heater open close play
    pause computer hello please thanks water table paper yesterday nobody update downtown
    leftover rightly only office stopper going ago away before maybe tomorrow winter people
""")
UNKNOWN_TEST = words("""
    yard best nothing nowhere upset count crown lentils lend rude bright onto author offer
    stomp stone gone goal ghost five ten apple garden doctor monday orange silver button camera
    forward backward morning thunder picture river
""")
SENTENCES_TRAINING = (
    "the weather will be fine in the morning",
    "please put the books back where they belong",
    "my brother lives in a small house near the river",
    "she sells flowers at the market every week",
    "we had bread and cheese for lunch today",
    "the train was late because of the snow",
    "can you tell me what time it is",
    "he plays the piano better than his sister",
    "there are seven children in the garden",
    "I have never seen such a beautiful place",
    "they want to build another school this year",
    "put some milk in the tea before you drink it",
    "a quick brown fox jumps over the lazy dog",
    "nobody knew which of them had taken the key",
)
SENTENCES_TEST = (
    "the old man told us a story about the sea",
    "this evening we are having friends for dinner",
    "her office is at the corner of the long street",
    "I think the second answer was correct",
    "bring an umbrella because it might rain later",
    "most of the apples fell during the storm",
)
