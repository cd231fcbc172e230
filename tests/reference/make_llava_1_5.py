# SPDX-License-Identifier: Apache-2.0
"""Makes tests/fixtures/models/llava_1_5 with transformers 5.23, float32 on one CPU thread: make_llava_1_5.py. Run by hand.

A small random LLaVA-1.5 (CLIP, LLaMA without grouped heads) with the tokenizer of tests/fixtures/tokenizers/llama2, in the hub's
and in the original codebase's form, and what transformers computes on three cases: the layout of the other models there.
"""
import json
import pathlib
import shutil

import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
OUT = FIXTURES / "models" / "llava_1_5"
SIDE, PATCH, TOKENS = 29, 7, 16
SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
          "polite answers to the user's questions. ")
CONVERSATIONS = {
    "single": [[("human", "<image>\nWhat color is shown?"), ("gpt", "the  cat sat"), ("human", "How many dogs?"), ("gpt", "12")]],
    "pair": [[("human", "What is on the mat? <image>"), ("gpt", "a cat")], [("human", "<image>\nthe dog"), ("gpt", "café and naïve")]],
    "text": [[("human", "are there 3 dogs"), ("gpt", "There are 3.")]],
}
IMAGES = {"single": [["single.png"]], "pair": [["pair0.png"], ["pair1.png"]], "text": [[]]}
GRADS = ["model.language_model.embed_tokens.weight", "model.language_model.layers.1.self_attn.q_proj.weight",
         "model.language_model.layers.0.mlp.down_proj.weight", "lm_head.weight", "model.multi_modal_projector.linear_1.weight",
         "model.vision_tower.embeddings.class_embedding", "model.vision_tower.embeddings.patch_embedding.weight",
         "model.vision_tower.pre_layrnorm.weight", "model.vision_tower.encoder.layers.1.mlp.fc1.weight"]
tokenizer = Tokenizer.from_file(str(FIXTURES / "tokenizers" / "llama2" / "tokenizer.json"))
IMAGE = tokenizer.token_to_id("<image>")
processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


def make_model():
    torch.manual_seed(5)
    vision = CLIPVisionConfig(hidden_size=36, intermediate_size=50, num_hidden_layers=3, num_attention_heads=3, image_size=SIDE,
                              patch_size=PATCH, projection_dim=16)
    text = LlamaConfig(hidden_size=40, intermediate_size=70, num_hidden_layers=3, num_attention_heads=5, num_key_value_heads=5,
                       vocab_size=419, max_position_embeddings=2048, rms_norm_eps=1e-5)
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE)).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            norm = "norm" in name
            value.copy_(torch.randn(value.shape) * (0.1 if norm or value.dim() < 2 else 0.6 / value[0].numel() ** 0.5 * 2) + (1.0 if norm and name.endswith("weight") else 0.0))
    return model


def encode(turns, answered):
    """Ids and labels of a conversation in Vicuna's form: answers and their ends are supervised."""
    text, spans = SYSTEM, []
    if not answered and turns[-1][0] == "gpt":
        turns = turns[:-1]
    for role, value in turns:
        if role == "human":
            if value.count("<image>") == 1 and not value.startswith("<image>"):
                value = "<image>\n" + value.replace("<image>", "").strip()
            text += "USER: " + value + " "
        else:
            text += "ASSISTANT:"
            begin = len(text)
            text += " " + value + "</s>"
            spans.append((begin, len(text)))
    if not answered:
        text += "ASSISTANT:"
    encoding = tokenizer.encode(text, add_special_tokens=False)
    ids, labels = [tokenizer.token_to_id("<s>")], [-100]
    for token, (begin, end) in zip(encoding.ids, encoding.offsets):
        supervised = any(first <= begin and end <= last and begin < last for first, last in spans)
        copies = TOKENS if token == IMAGE else 1
        ids += [token] * copies
        labels += [token if supervised else -100] * copies
    return ids, labels


def batch(rows, left):
    width = max(map(len, rows["input_ids"]))
    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    padded = {k: [[fill[k]] * (width - len(r)) + r if left else r + [fill[k]] * (width - len(r)) for r in v] for k, v in rows.items()}
    return {key: torch.tensor(value) for key, value in padded.items()}


def inputs_of(name, left=False):
    rows = {"input_ids": [], "labels": [], "attention_mask": []}
    for turns in CONVERSATIONS[name]:
        ids, labels = encode(turns, not left)
        for key, value in zip(rows, (ids, labels, [1] * len(ids))):
            rows[key].append(value)
    made = batch(rows, left)
    pictures = [Image.open(FIXTURES / "models" / "images" / file).convert("RGB") for files in IMAGES[name] for file in files]
    if pictures:
        made["pixel_values"] = torch.as_tensor(processor(pictures, return_tensors="pt")["pixel_values"])
    return made


def expected_of(model, inputs):
    kept = {}
    hooks = [model.model.multi_modal_projector.register_forward_hook(
                 lambda _, args, out: kept.update(vision_features=args[0].detach(), projector_out=out.detach())),
             model.model.language_model.register_forward_pre_hook(
                 lambda _, args, kwargs: kept.update(inputs_embeds=kwargs["inputs_embeds"].detach()), with_kwargs=True),
             model.model.language_model.register_forward_hook(
                 lambda _, args, out: kept.update(final_hidden=out.last_hidden_state.detach()))]
    out = model(**inputs)
    for hook in hooks:
        hook.remove()
    logits, labels = out.logits.detach().float(), inputs["labels"]
    losses = torch.zeros(labels.shape)
    losses[:, :-1] = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(),
                                                       ignore_index=-100, reduction="none").view(labels.shape[0], -1)
    rows = torch.arange(0, labels.numel(), 7)
    kept |= {"loss": out.loss.detach(), "per_token_loss": losses, "logits_logsumexp": logits.logsumexp(-1),
             "logits_row_index": rows, "logits_rows": logits.flatten(0, 1)[rows]}
    return out.loss, {key: value.contiguous() for key, value in kept.items()}


def new_tokens(model, inputs, count=20):
    given = {key: value for key, value in inputs.items() if key != "labels"}
    made = model.generate(**given, max_new_tokens=count, min_new_tokens=count, do_sample=False, eos_token_id=None, pad_token_id=0)
    return made[:, given["input_ids"].shape[1]:].contiguous()


def names_of(memory):
    hub = memory.replace("model.vision_tower.", "vision_tower.vision_model.").replace("model.multi_modal_projector.", "multi_modal_projector.")
    orig = memory.replace("model.vision_tower.", "model.vision_tower.vision_tower.vision_model.")
    for ours, theirs in (("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
                         ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."), ("model.language_model.", "model.")):
        orig = orig.replace(ours, theirs) if orig.startswith(ours) else orig
    if memory.startswith("model.language_model."):
        hub = "language_model.model." + memory[len("model.language_model."):]
    if memory.startswith("lm_head."):
        hub = "language_model." + memory
    return {"hub": hub, "orig": orig}


def write_model(model, key_names):
    weights = {name: value.detach().contiguous() for name, value in model.named_parameters()}
    text, vision = model.config.text_config, model.config.vision_config
    shared = {key: getattr(text, key) for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
              "num_key_value_heads", "hidden_act", "rms_norm_eps", "max_position_embeddings", "vocab_size")}
    tower = {key: getattr(vision, key) for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "image_size", "patch_size", "hidden_act", "layer_norm_eps", "num_channels", "projection_dim")}
    tower["model_type"] = "clip_vision_model"
    hub = {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "image_token_index": IMAGE,
           "projector_hidden_act": "gelu", "text_config": {"model_type": "llama", **shared}, "vision_config": tower,
           "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "torch_dtype": "float32",
           "tie_word_embeddings": False}
    orig = {"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava", **shared, "image_aspect_ratio": None,
            "mm_hidden_size": vision.hidden_size, "mm_projector_type": "mlp2x_gelu", "mm_vision_select_feature": "patch",
            "mm_vision_select_layer": -2, "mm_vision_tower": "./mm_vision_tower", "torch_dtype": "float32", "use_mm_proj": True}
    for naming, config in (("hub", hub), ("orig", orig)):
        folder = OUT / naming
        folder.mkdir(parents=True)
        save_file({key_names[name][naming]: value for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        (folder / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 2}) + "\n")
        shutil.copy(FIXTURES / "tokenizers" / "llama2" / "tokenizer.json", folder / "tokenizer.json")
    (OUT / "orig" / "mm_vision_tower").mkdir()
    (OUT / "orig" / "mm_vision_tower" / "config.json").write_text(json.dumps(tower, indent=1) + "\n")
    (OUT / "hub" / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "CLIPImageProcessor", "do_resize": True, "do_center_crop": True, "do_rescale": True,
        "do_normalize": True, "do_convert_rgb": True, "resample": 3, "rescale_factor": 1 / 255, "size": {"shortest_edge": SIDE},
        "crop_size": {"height": SIDE, "width": SIDE}, "image_mean": processor.image_mean, "image_std": processor.image_std}, indent=1) + "\n")


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    model = make_model()
    key_names = {name: names_of(name) for name, _ in model.named_parameters()}
    write_model(model, key_names)
    (OUT / "cases").mkdir()
    cases = {}
    for name, conversations in CONVERSATIONS.items():
        inputs, prompts = inputs_of(name), inputs_of(name, left=True)
        model.zero_grad()
        loss, expected = expected_of(model, inputs)
        loss.backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        save_file(inputs, OUT / "cases" / f"{name}.inputs.safetensors")
        save_file(expected, OUT / "cases" / f"{name}.expected.safetensors")
        with torch.no_grad():
            tokens = new_tokens(model, prompts)
        save_file({"input_ids": prompts["input_ids"], "attention_mask": prompts["attention_mask"], "new_tokens": tokens},
                  OUT / "cases" / f"{name}.generate.safetensors")
        if name == "single":
            save_file({n: gradients[n].contiguous() for n in GRADS}, OUT / "cases" / "single.grads.safetensors")
        cases[name] = {"conversations": [[{"from": r, "value": v} for r, v in turns] for turns in conversations],
                       "images": IMAGES[name], "inputs": f"{name}.inputs.safetensors", "expected": f"{name}.expected.safetensors",
                       "generate": {"file": f"{name}.generate.safetensors"},
                       "grads": "single.grads.safetensors" if name == "single" else None,
                       "grad_names": GRADS if name == "single" else [], "loss": loss.item(),
                       "grad_l2_all_parameters": {n: g.norm().item() for n, g in gradients.items()}}
    (OUT / "key_names.json").write_text(json.dumps(key_names, indent=1) + "\n")
    (OUT / "manifest.json").write_text(json.dumps({"family": "llava_1_5", "template": "vicuna", "cases": cases}, indent=1) + "\n")


main()
