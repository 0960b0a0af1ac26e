from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.encodings import likely_encodings

TEXTS = {
    "gb18030": ["参数量,训练词元,验证损失,状态\n1亿,完成\n中断,实验", "他说这是一个很大的国家，我们在这里学习。"],
    "cp932": ["これは本です。レビュー:とても良い①", "実験名,パラメータ数,トークン数,損失\n学習率"],
    "cp949": ["실험,파라미터,토큰,손실", "이것은 책입니다"],
    "big5": ["參數量,訓練詞元,驗證損失", "他說這是一個很大的國家"],
    "cp1251": ["Модель,Параметры,Токены,Потери", "это книга"],
    "cp1252": ["Résultats des essais – été 2025;Paramètres", "Größe;Übung;Verlust", "señal año niño", "naïve café"],
}


@pytest.mark.parametrize(("encoding", "text"), [(name, text) for name, texts in TEXTS.items() for text in texts])
def test_the_encoding_of_a_short_text_is_the_first_that_is_named(encoding: str, text: str) -> None:
    assert likely_encodings(text.encode(encoding))[0] == encoding
    assert likely_encodings(text.encode(encoding)[:-1])  # cut inside a character


@given(st.binary(max_size=200))
def test_any_bytes_have_some_name_that_python_knows(data: bytes) -> None:
    assert all("".encode(name) in (b"", b"\xff\xfe") for name in likely_encodings(data))
