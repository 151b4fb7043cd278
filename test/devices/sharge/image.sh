curl ${your service url} \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer $API_KEY" \
  -d '{
    "model": "<yuntianshiren>",
    "messages": [
      {
        "role": "user",
        "content": [
          {
            "type": "text",
            "text": ""
          },
          {
            "type": "image_url",
            "image_url": {
              "url": "https://upload.wikimedia.org/wikipedia/commons/thumb/d/dd/Gfp-wisconsin-madison-the-nature-boardwalk.jpg/2560px-Gfp-wisconsin-madison-the-nature-boardwalk.jpg"
            }
          }
        ]
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
