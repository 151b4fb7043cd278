import requests

# 替换为你的服务地址和 API 密钥
service_url = "https://your-service-url.com"
api_key = "你的API_KEY"

# 构建请求数据
payload = {
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
    "stream": True
}

# 设置请求头
headers = {
    "Content-Type": "application/json",
    "Authorization": f"Bearer {api_key}"
}

# 发送请求
response = requests.post(service_url, json=payload, headers=headers)

# 输出响应
print("Status Code:", response.status_code)
print("Response Body:", response.json())
