# SPDX-License-Identifier: Apache-2.0
# Makes tests/fixtures/video/MODEL: frames, records and what Hugging Face transformers computes on them with the small models
# of tests/fixtures/models. Needs torch, torchvision, transformers 5.23, safetensors, Pillow.
#
#     OMP_NUM_THREADS=1 python3 tests/reference/make_video.py [OUT]
#
# The first record's frames have the size the model wants, so transformers' video processor (torchvision alone) does not resize
# them; the second's are resized here with Pillow's bicubic filter, as pictures are, before they go through it.
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForImageTextToText
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor, smart_resize

TESTS = pathlib.Path(__file__).resolve().parent.parent
MODELS = TESTS / "fixtures" / "models"
NEW_TOKENS = 12
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


def frames_of(seed, count, height, width):
    """A square that moves over a gradient with some noise."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    base = np.stack([rows * 200 // height, columns * 200 // width, (rows + columns) * 3 % 200], -1)
    frames = []
    for i in range(count):
        picture = base + generator.integers(0, 50, base.shape)
        top, left = (3 * i) % max(1, height - 6), (5 * i) % max(1, width - 6)
        picture[top:top + 6, left:left + 6] = [250, 20 * i % 250, 40]
        frames.append(picture.astype(np.uint8))
    return frames


def stack(frames):
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


class OneVision:
    name, folder, frame = "llava_onevision", MODELS / "llava_onevision" / "hub", (30, 30)
    written = "<video>"

    def __init__(self):
        self.config = json.loads((self.folder / "config.json").read_text())
        settings = json.loads((self.folder / "preprocessor_config.json").read_text())
        side = settings["size"]["height"]
        self.size = (side, side)
        self.processor = LlavaOnevisionVideoProcessor(size={"height": side, "width": side},
                                                      image_mean=settings["image_mean"], image_std=settings["image_std"])
        self.place, self.visual = None, self.config["video_token_index"]
        self.cap = (int(side) // self.config["vision_config"]["patch_size"] + 1) // 2

    def target(self, height, width, count):
        return self.size

    def prepare(self, frames, fps):
        pixels = self.processor(videos=[stack(frames)], return_tensors="pt")["pixel_values_videos"]
        return {"pixel_values_videos": pixels}, pixels.shape[1] * self.cap * self.cap + 1


class Qwen:
    name, folder, frame = "qwen2_5_vl", MODELS / "qwen2_5_vl" / "hub", (56, 84)
    written = "<|vision_start|><|video_pad|><|vision_end|>"

    def __init__(self):
        self.config = json.loads((self.folder / "config.json").read_text())
        settings = json.loads((self.folder / "preprocessor_config.json").read_text())
        self.processor = Qwen2VLVideoProcessor(**{k: v for k, v in settings.items() if not k.endswith("_type")})
        self.visual = self.config["video_token_id"]
        self.factor = self.processor.patch_size * self.processor.merge_size

    def target(self, height, width, count):
        size = self.processor.size
        return smart_resize(height, width, self.factor, size["shortest_edge"], size["longest_edge"])

    def prepare(self, frames, fps):
        made = self.processor(videos=[stack(frames)], return_tensors="pt")
        grid = made["video_grid_thw"]
        seconds = torch.tensor([self.processor.temporal_patch_size / fps])
        merged = int(grid[0].prod()) // self.processor.merge_size ** 2
        return {"pixel_values_videos": made["pixel_values_videos"], "video_grid_thw": grid,
                "second_per_grid_ts": seconds}, merged


def conversation(question, answer):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def ids_of(model, tokenizer, question, answer, tokens):
    """Ids and labels: the answer and its end are supervised."""
    before, after = question.split("<video>")
    opening = SYSTEM + "<|im_start|>user\n" + before
    wrapped = model.written.replace("<video>", "").replace("<|video_pad|>", "\0").split("\0")
    ids = tokenizer.encode(opening + wrapped[0], add_special_tokens=False).ids
    ids += [model.visual] * tokens
    rest = (wrapped[1] if len(wrapped) > 1 else "") + after + "<|im_end|>\n<|im_start|>assistant\n"
    ids += tokenizer.encode(rest, add_special_tokens=False).ids
    prompt = len(ids)
    ids += tokenizer.encode(answer + "<|im_end|>", add_special_tokens=False).ids
    labels = [-100] * prompt + ids[prompt:]
    tail = tokenizer.encode("\n", add_special_tokens=False).ids
    return ids + tail, labels + [-100] * len(tail), prompt


def inputs_for(model, reference, ids, visual):
    inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long), **visual}
    if model.name == "qwen2_5_vl":
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == model.visual).int() * 2
    return inputs


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else TESTS / "fixtures" / "video"
    torch.set_grad_enabled(True)
    for model in (OneVision(), Qwen()):
        folder = out / model.name
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
        weights = model.folder if list(model.folder.glob("*.safetensors")) else model.folder.parent / "hf"
        reference = AutoModelForImageTextToText.from_pretrained(weights, dtype=torch.float32, attn_implementation="eager").eval()
        questions = [("<video>\nWhat moves?", "The square moves right.", 5, model.frame, None),
                     ("Look at <video> and count.", "Three of them.", 4, (61, 97), 1.5)]
        records, tensors, total = [], {}, 0
        for index, (question, answer, count, (height, width), fps) in enumerate(questions):
            frames = frames_of(10 + index, count, height, width)
            names = [f"frames/{index}_{i}.png" for i in range(count)]
            for name, frame in zip(names, frames):
                Image.fromarray(frame).save(folder / name)
            record = {"id": f"video-{index}", "video": names, "conversations": conversation(question, answer)}
            if fps is not None:
                record["fps"] = fps
            records.append(record)
            target = model.target(height, width, count)
            resized = [np.asarray(Image.fromarray(f).resize((target[1], target[0]), Image.BICUBIC)) for f in frames]
            visual, tokens = model.prepare(resized, fps or 24)
            direct, _ = model.prepare(frames, fps or 24)
            difference = (direct["pixel_values_videos"] - visual["pixel_values_videos"]).abs()
            print(model.name, index, "frames", target, "torchvision's resize differs by at most",
                  f"{difference.max():.4f}, mean {difference.mean():.6f}; tokens", tokens)
            ids, labels, prompt = ids_of(model, tokenizer, question, answer, tokens)
            inputs = inputs_for(model, reference, ids, visual)
            result = reference(**inputs, labels=torch.tensor([labels]), output_hidden_states=False)
            total = total + result.loss / len(questions)
            extra = {k: visual[k] for k in ("video_grid_thw",) if k in visual}
            features = reference.get_video_features(visual["pixel_values_videos"], **extra).pooler_output
            prefix = f"{index}."
            tensors[prefix + "input_ids"] = torch.tensor(ids)
            tensors[prefix + "labels"] = torch.tensor(labels)
            tensors[prefix + "pixels"] = visual["pixel_values_videos"].squeeze(0)
            tensors[prefix + "visual_tokens"] = (torch.cat(features) if isinstance(features, (tuple, list)) else features.squeeze(0))
            tensors[prefix + "logits"] = result.logits[0]
            tensors[prefix + "loss"] = result.loss
            if model.name == "qwen2_5_vl":
                positions, _ = reference.model.get_rope_index(inputs["input_ids"], inputs["mm_token_type_ids"],
                                                              video_grid_thw=visual["video_grid_thw"],
                                                              second_per_grid_ts=visual["second_per_grid_ts"])
                tensors[prefix + "positions"] = positions[:, 0]
            start = inputs_for(model, reference, ids[:prompt], visual)
            with torch.no_grad():
                made = reference.generate(**start, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False,
                                          output_scores=True, return_dict_in_generate=True)
            top = torch.stack(made.scores)[:, 0].topk(2).values
            print("   smallest margin of a token", float((top[:, 0] - top[:, 1]).min()))
            tensors[prefix + "new_tokens"] = made.sequences[0, prompt:]
        total.backward()
        norms = {}
        for name, parameter in reference.named_parameters():
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            norms[name] = float(gradient.norm())
            if any(part in name for part in ("layers.0.self_attn.q_proj.weight", "image_newline", "blocks.1.attn.qkv.weight",
                                             "patch_embedding.weight", "patch_embed.proj.weight", "merger.mlp.2.weight",
                                             "multi_modal_projector.linear_1.weight")):
                tensors["gradient." + name] = gradient
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, str(folder / "expected.safetensors"))
        (folder / "records.json").write_text(json.dumps(records, indent=1) + "\n")
        (folder / "gradient_norms.json").write_text(json.dumps({"loss": float(total), "norms": norms}, indent=1) + "\n")


if __name__ == "__main__":
    main()
