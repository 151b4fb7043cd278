from openai import OpenAI
# 设置API基础URL和API密钥(这里使用一个虚拟的密钥,因为我们没有实现认证)
client = OpenAI(
api_key="your-api-key", # 这里可以使用任意值,因为我们的API没有实现认证
base_url="http://localhost:8000/v1"
)
# 发送聊天请求
response = client.chat.completions.create(
model="qwen-flash",
messages=[
{"role": "system", "content": "你是一个有用的助手。"},
{"role": "user", "content": "你好,请介绍一下你自己。"}
],
temperature=0.7,
thread_id=1 # 用于多轮对话
)
print(response.choices[0].message.content)
