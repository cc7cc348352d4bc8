"""The corpus's words: names, creatures, things, places, foods, feelings. Data alone."""

GIRLS = (
    *(
        "Mira",
        "Tilda",
        "Anna",
        "Rosa",
        "Lena",
        "Ida",
        "Nora",
        "Clara",
        "Ella",
        "Maya",
        "Zoe",
        "Ruby",
    ),
    *("Hazel", "Ivy", "Olive", "Pia", "Greta", "Wanda", "Stella", "Luna", "Daisy", "Alma", "Vera"),
    *("Fern", "Juno", "Kiki", "Lotte", "Mina", "Nell", "Poppy", "Rina", "Suki", "Tess", "Yara"),
    *("Amina", "Bella", "Cora", "Dora", "Edith", "Flora", "Goldie", "Hanna", "Iris", "Jade"),
    *("Kaya", "Lily", "Molly", "Nina", "Opal", "Penny", "Sofia", "Willow", "Mabel", "Elsa"),
)
BOYS = (
    *("Bram", "Tom", "Ben", "Otto", "Max", "Leo", "Finn", "Hugo", "Oscar", "Theo", "Jonas", "Emil"),
    *("Karl", "Milo", "Nico", "Paul", "Ravi", "Sam", "Toby", "Ugo", "Victor", "Walter", "Yusuf"),
    *("Alfie", "Bruno", "Caleb", "Dexter", "Elias", "Felix", "George", "Henry", "Ivan", "Jack"),
    *("Kofi", "Louis", "Marco", "Ned", "Omar", "Pip", "Quentin", "Rufus", "Silas", "Tariq"),
    *("Basil", "Casper", "Dario", "Ezra", "Frank", "Gus", "Harvey", "Igor", "Jasper", "Kenji"),
)
SYLLABLES = (
    *("ba", "be", "bo", "da", "do", "du", "fa", "fi", "ga", "go", "ha", "ja", "ka", "ki", "ko"),
    *("la", "li", "lo", "ma", "mi", "mo", "na", "ni", "no", "pa", "pe", "po", "ra", "ri", "ro"),
    *("sa", "si", "so", "ta", "ti", "to", "va", "vi", "wa", "ya", "yo", "za", "ze", "zu"),
)
ENDINGS = ("n", "l", "r", "s", "th", "m", "", "", "", "k", "nd", "x")
ANIMALS = (
    *("fox", "rabbit", "hedgehog", "bear", "mouse", "owl", "badger", "squirrel", "otter", "frog"),
    *("duck", "goose", "cat", "dog", "pony", "lamb", "goat", "hen", "mole", "beaver", "sparrow"),
    *("crow", "turtle", "deer", "wolf", "kitten", "puppy", "robin", "raccoon", "donkey"),
)
GIRL_KINDS = ("girl", "girl", "girl", "baker", "gardener", "sailor", "farmer", "teacher", "queen")
BOY_KINDS = ("boy", "boy", "boy", "miller", "fisherman", "painter", "shepherd", "carpenter", "king")
SIZES = ("little", "small", "young", "tiny", "tall", "old")
TRAITS = (
    *("brave", "shy", "kind", "clever", "curious", "cheerful", "patient", "gentle", "proud"),
    *("lazy", "careful", "quiet", "merry", "stubborn", "friendly", "dreamy", "honest", "playful"),
)
COLORS = (
    *("red", "blue", "green", "yellow", "purple", "orange", "pink", "white", "black", "brown"),
    *("golden", "silver", "gray"),
)
THINGS = (
    *("kite", "ball", "hat", "cup", "book", "drum", "key", "lamp", "bell", "basket", "boat"),
    *("blanket", "scarf", "whistle", "umbrella", "ribbon", "box", "bucket", "spoon", "button"),
    *("marble", "feather", "shell", "lantern", "map", "coin", "ring", "wagon", "flute", "mitten"),
    *("jar", "clock", "pillow", "candle", "coat", "ladder", "rope", "shovel", "teapot", "mirror"),
    *("brush", "pebble", "bag", "violin", "bottle", "cap", "chair", "crown", "doll", "glove"),
    *("hammer", "kettle", "letter", "mask", "necklace", "paintbrush", "pencil", "plate", "puppet"),
)
TOYS = ("kite", "ball", "drum", "whistle", "boat", "doll", "puppet", "flute", "wagon", "violin")
PLACES = (
    *("in the forest", "at the mill", "by the river", "on the hill", "in the garden"),
    *("at the market", "by the lake", "in the barn", "at the bakery", "in the meadow"),
    *("on the beach", "in the library", "at the school", "in the attic", "by the well"),
    *("in the orchard", "at the harbor", "in the cave", "on the bridge", "by the pond"),
    *("in the valley", "at the station", "in the workshop", "at the lighthouse"),
    *("in the village square", "by the fountain", "in the castle", "at the farm"),
    *("by the waterfall", "in the tower", "on the island", "in the park"),
)
ROOMS = (
    *("in the kitchen", "in the bedroom", "in the garden", "in the hall", "in the cellar"),
    *("in the attic", "in the bathroom", "in the garage", "in the office", "on the balcony"),
)
DWELLINGS = (
    *("a small house", "a cozy cottage", "a tiny hut", "a crooked house", "a round tent"),
    *("a blue wagon", "a stone house", "a wooden cabin", "a tall tower", "a white cottage"),
)
DENS = (
    "a hollow tree",
    "a snug burrow",
    "a dry cave",
    "a warm nest",
    "a mossy den",
    "a small barn",
)
SPOTS = (
    *("under a bench", "behind a bush", "in a hollow log", "under a pile of leaves"),
    *("beside a big stone", "inside an old boot", "behind a fence", "between two roots"),
    *("on a low branch", "under a wooden cart", "behind a barrel", "in the tall grass"),
)
FRUITS = (
    *("apple", "pear", "plum", "cherry", "peach", "fig", "lemon", "banana", "grape", "melon"),
    *("orange", "strawberry"),
)
VEGETABLES = ("carrot", "turnip", "onion", "potato", "cabbage", "pea", "bean", "pumpkin", "beet")
BAKED = ("pie", "cake", "bun", "cookie", "muffin", "pancake", "loaf", "waffle", "tart")
TREATS = ("honey", "bread", "cheese", "soup", "jam", "porridge", "butter", "milk", "tea", "rice")
FEELINGS = ("happy", "sad", "tired", "proud", "worried", "lonely", "excited", "afraid", "calm")
WEATHERS = ("sunny", "rainy", "windy", "snowy", "cloudy", "foggy", "stormy", "warm", "cold")
SKILLS = (
    *("swim", "whistle", "dance", "sing", "juggle", "skate", "paint", "bake", "climb trees"),
    *("play the flute", "ride a pony", "row a boat", "read", "knit", "jump rope", "fly a kite"),
)
JOBS = (
    *("baker", "gardener", "sailor", "farmer", "teacher", "painter", "carpenter", "doctor"),
    *("pilot", "cook", "nurse", "driver", "singer", "writer", "tailor", "librarian"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
SEASONS = ("spring", "summer", "autumn", "winter")
INSTRUMENTS = ("drum", "flute", "violin", "piano", "trumpet", "guitar", "harp", "bell")
CLOTHES = ("hat", "scarf", "coat", "sock", "glove", "shirt", "dress", "boot", "belt", "cap")
SHAPES = ("circle", "square", "triangle", "star", "heart", "oval")
