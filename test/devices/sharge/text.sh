curl ${your service url} \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer ${API_KEY}" \
  -d '{
    "model": "<yuntianshiren>",
    "messages": [
        {
        "role": "user",
        "content": "看看眼前这个人是不是犯人"
        }
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "take_a_photo",
                "description": "拍照，当回答问题需要视觉信息的时候，需要调用该函数",
                "parameters": {}
            }
        }
    ],
    "max_tokens": 300,
    "temperature": 0.5,
    "stream": true
  }'
