"""What the small studies of these tests have in common, as tables of their study files."""

TRAINING = """[training]
learning_rate = { value = 1e-2, at_params = 1e4, exponent = 0 }
batch_tokens = { value = 256 }
eval_tokens = 1024
[design]
kind = "ladder"
params = [3e3, 5e3, 8e3]
"""
LAUNCH = """[launch]
workers = 1
target_threads = 1
"""
